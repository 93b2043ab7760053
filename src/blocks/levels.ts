import {
  type LogNormalNoise,
  levelNames,
  levelsOf,
  type NoiseLevels,
  precondition,
  type Scaling,
  type SigmaRange,
  sampleSigmas,
} from "../diffusion/index.ts";
import type { Key } from "../random.ts";
import { filled, type HostArray, random, type Sampler, type Tensor, type TensorType } from "../tensor/index.ts";
import { float32 } from "../train/index.ts";

type LevelName = keyof NoiseLevels<unknown>;

/** Noise levels of a batch and their scalings, one column [batch, 1] for each. */
export type BatchLevels = NoiseLevels<Tensor>;

function columns<Value>(column: (name: LevelName) => Value): NoiseLevels<Value> {
  return Object.fromEntries(levelNames.map((name) => [name, column(name)])) as unknown as NoiseLevels<Value>;
}

/** Draws one of the numbers that belong to a noise level. */
interface LevelSampler extends Sampler {
  readonly level: LevelName;
}

/** Whether a tensor is the noise levels that {@link drawnLevels} draws. */
export function drawsSigma({ source }: Tensor): boolean {
  return source?.kind === "random" && (source.sampler as Partial<LevelSampler>).level === "sigma";
}

/**
 * Levels drawn anew at each step from the training noise within `range`, one stratum for each sample. Scalings are
 * computed on the host, in float64.
 */
export function drawnLevels(key: Key, noise: LogNormalNoise, range: SigmaRange, batchSize: number): BatchLevels {
  return columns((name) => {
    const fill = (out: HostArray, stepKey: Key): void => {
      const sigmas = new Float32Array(batchSize);
      sampleSigmas(noise, range, stepKey, sigmas, { stratified: true });
      out.set(levelsOf(sigmas, noise)[name] as never);
    };
    const sampler: LevelSampler = { name: `${name} in [${range.join(", ")}]`, fill, level: name };
    return random(key, sampler, [batchSize, 1]);
  });
}

/** The same level for all, fixed when it is traced. */
export function constantLevels(sigma: number, scaling: Scaling, batchSize: number): BatchLevels {
  const at = { sigma, ...precondition(sigma, scaling) };
  return columns((name) => filled(at[name], [batchSize, 1]));
}

/** The inputs of a program that is fed with levels: see `levelsOf`. Its symbols are {@link BatchLevels}. */
export function levelInputs(batchSize: number): NoiseLevels<TensorType> {
  return columns(() => float32(batchSize, 1));
}
