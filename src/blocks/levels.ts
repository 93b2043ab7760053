import {
  type LogNormalNoise,
  type Preconditioning,
  precondition,
  preconditionBatch,
  type SigmaRange,
  sampleSigmas,
} from "../diffusion/index.ts";
import type { Key } from "../random.ts";
import { filled, type HostArray, input, random, type Tensor } from "../tensor/index.ts";

/** The noise levels of a batch and what the preconditioning makes of them: each [batch, 1]. */
export interface NoiseLevels extends Preconditioning<Tensor> {
  readonly sigma: Tensor;
}

const scalings = ["cSkip", "cOut", "cIn", "cNoise", "lossWeight"] as const;

/** Every scaling is computed on the host, in float64 and by one function, from the sigmas that `fill` gives. */
function levels(column: (name: "sigma" | (typeof scalings)[number]) => Tensor): NoiseLevels {
  return {
    sigma: column("sigma"),
    ...(Object.fromEntries(scalings.map((name) => [name, column(name)])) as unknown as Preconditioning<Tensor>),
  };
}

/** Levels drawn anew at each step from the training noise within `range`, one stratum for each sample. */
export function drawnLevels(key: Key, noise: LogNormalNoise, range: SigmaRange, batchSize: number): NoiseLevels {
  return levels((name) => {
    const fill = (out: HostArray, stepKey: Key): void => {
      const sigmas = new Float32Array(batchSize);
      sampleSigmas(noise, range, stepKey, sigmas, { stratified: true });
      out.set((name === "sigma" ? sigmas : preconditionBatch(sigmas, noise.sigmaData)[name]) as never);
    };
    return random(key, { name: `${name} in [${range.join(", ")}]`, fill }, [batchSize, 1]);
  });
}

/** The same level for all, fixed when it is traced. */
export function levelsAt(sigma: number, sigmaData: number, batchSize: number): NoiseLevels {
  const at = precondition(sigma, sigmaData);
  return levels((name) => filled(name === "sigma" ? sigma : at[name], [batchSize, 1]));
}

/** Levels that the caller feeds: see `levelFeeds`. */
export function fedLevels(batchSize: number): NoiseLevels {
  return levels((name) => input(name, [batchSize, 1]));
}

/** What `fedLevels` wants for a batch whose samples stand at these sigmas. */
export function levelFeeds(sigmas: Float32Array, sigmaData: number): Record<string, Float32Array> {
  return { sigma: sigmas, ...preconditionBatch(sigmas, sigmaData) };
}
