import { PartitionError } from "../errors.ts";
import { ddpmTime } from "./ddpm.ts";

/** The scalings of a denoiser D(z, sigma) = cSkip z + cOut F(cIn z, cNoise) and the weight of its loss. */
export interface Preconditioning<Value> {
  readonly cSkip: Value;
  readonly cOut: Value;
  readonly cIn: Value;
  readonly cNoise: Value;
  readonly lossWeight: Value;
}

/** `edm`: networks whose input and target have unit variance at every level. `ddpm`: networks that find the noise in what DDPM makes. */
export const preconditioningKinds = ["edm", "ddpm"] as const;
export type PreconditioningKind = (typeof preconditioningKinds)[number];

/** What the scalings of a network depend on. */
export interface Scaling {
  /** Standard deviation of the clean targets. */
  readonly sigmaData: number;
  /** `edm` by default. */
  readonly preconditioning?: PreconditioningKind | undefined;
}

/**
 * With s = sigma, d = sigmaData:
 *
 * - `edm`: cSkip = d^2 / (s^2 + d^2), cOut = s d / sqrt(s^2 + d^2), cIn = 1 / sqrt(s^2 + d^2), cNoise = ln(s) / 4. The input cIn z and the
 *   target of F have unit variance at every sigma.
 * - `ddpm`: cSkip = 1, cOut = -s, cIn = 1 / sqrt(s^2 + 1), cNoise = the step of s in DDPM's schedule: F finds the noise in
 *   sqrt(alpha) y + sqrt(1 - alpha) eps, which is cIn z.
 *
 * lossWeight = 1 / cOut^2, which cancels cOut^2 in a squared loss.
 *
 * @throws {PartitionError} if sigma or sigmaData is not positive and finite.
 * @see EDM (arXiv 2206.00364), Table 1: `edm`, and `ddpm` as "iDDPM" without its change of the schedule.
 */
export function precondition(sigma: number, scaling: Scaling): Preconditioning<number> {
  const { sigmaData, preconditioning = "edm" } = scaling;
  if (!(sigma > 0 && sigmaData > 0 && sigma < Number.POSITIVE_INFINITY && sigmaData < Number.POSITIVE_INFINITY)) {
    const message = `precondition: sigma is ${sigma}, sigmaData ${sigmaData}; both must be positive and finite.`;
    throw new PartitionError("badSigma", { sigma, sigmaData }, message);
  }
  return preconditioners[preconditioning](sigma, sigmaData);
}

const preconditioners: Readonly<Record<PreconditioningKind, (sigma: number, sigmaData: number) => Preconditioning<number>>> = {
  edm: (sigma, sigmaData) => {
    const variance = sigma * sigma + sigmaData * sigmaData;
    const deviation = Math.sqrt(variance);
    return {
      cSkip: (sigmaData * sigmaData) / variance,
      cOut: (sigma * sigmaData) / deviation,
      cIn: 1 / deviation,
      cNoise: Math.log(sigma) / 4,
      lossWeight: variance / (sigma * sigmaData) ** 2,
    };
  },
  ddpm: (sigma) => ({
    cSkip: 1,
    cOut: -sigma,
    cIn: 1 / Math.sqrt(sigma * sigma + 1),
    cNoise: ddpmTime(sigma),
    lossWeight: 1 / sigma ** 2,
  }),
};

/**
 * `precondition` for each sample of a batch, computed in float64 and rounded once.
 * @param sigmas [batch]
 * @returns arrays of the same length: what the graph of a training step is fed.
 */
export function preconditionBatch(sigmas: Float32Array, scaling: Scaling): Preconditioning<Float32Array> {
  const column = () => new Float32Array(sigmas.length);
  const batch = { cSkip: column(), cOut: column(), cIn: column(), cNoise: column(), lossWeight: column() };
  for (const [i, sigma] of sigmas.entries()) {
    const one = precondition(sigma, scaling);
    batch.cSkip[i] = one.cSkip;
    batch.cOut[i] = one.cOut;
    batch.cIn[i] = one.cIn;
    batch.cNoise[i] = one.cNoise;
    batch.lossWeight[i] = one.lossWeight;
  }
  return batch;
}

/** Noise levels with their scalings. */
export interface NoiseLevels<Value> extends Preconditioning<Value> {
  readonly sigma: Value;
}

export const levelNames = [
  "sigma",
  "cSkip",
  "cOut",
  "cIn",
  "cNoise",
  "lossWeight",
] as const satisfies readonly (keyof NoiseLevels<unknown>)[];

/** The noise levels of a batch, as programs are fed with them: each [batch]. */
export function levelsOf(sigmas: Float32Array, scaling: Scaling): NoiseLevels<Float32Array> {
  return { sigma: sigmas, ...preconditionBatch(sigmas, scaling) };
}

/** The same level for a whole batch. */
export function levelsAt(sigma: number, scaling: Scaling, batchSize: number): NoiseLevels<Float32Array> {
  return levelsOf(new Float32Array(batchSize).fill(sigma), scaling);
}
