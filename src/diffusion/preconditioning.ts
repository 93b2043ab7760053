import { PartitionError } from "../errors.ts";

/** The scalings of a denoiser D(z, sigma) = cSkip z + cOut F(cIn z, cNoise) and the weight of its loss. */
export interface Preconditioning<Value> {
  readonly cSkip: Value;
  readonly cOut: Value;
  readonly cIn: Value;
  readonly cNoise: Value;
  readonly lossWeight: Value;
}

/**
 * With s = sigma, d = sigmaData: cSkip = d^2 / (s^2 + d^2), cOut = s d / sqrt(s^2 + d^2), cIn = 1 / sqrt(s^2 + d^2),
 * cNoise = ln(s) / 4, lossWeight = (s^2 + d^2) / (s d)^2 = 1 / cOut^2.
 *
 * The input cIn z and the target of F have unit variance at every sigma, and the weight cancels cOut^2 in a squared loss.
 *
 * @throws {PartitionError} if sigma or sigmaData is not positive and finite.
 * @see EDM (arXiv 2206.00364), Table 1.
 */
export function precondition(sigma: number, sigmaData: number): Preconditioning<number> {
  if (!(sigma > 0 && sigmaData > 0 && sigma < Number.POSITIVE_INFINITY && sigmaData < Number.POSITIVE_INFINITY)) {
    const message = `precondition: sigma is ${sigma}, sigmaData ${sigmaData}; both must be positive and finite.`;
    throw new PartitionError("badSigma", { sigma, sigmaData }, message);
  }
  const variance = sigma * sigma + sigmaData * sigmaData;
  const deviation = Math.sqrt(variance);
  return {
    cSkip: (sigmaData * sigmaData) / variance,
    cOut: (sigma * sigmaData) / deviation,
    cIn: 1 / deviation,
    cNoise: Math.log(sigma) / 4,
    lossWeight: variance / (sigma * sigmaData) ** 2,
  };
}

/**
 * `precondition` for each sample of a batch, computed in float64 and rounded once.
 * @param sigmas [batch]
 * @returns arrays of the same length: what the graph of a training step is fed.
 */
export function preconditionBatch(sigmas: Float32Array, sigmaData: number): Preconditioning<Float32Array> {
  const column = () => new Float32Array(sigmas.length);
  const batch = { cSkip: column(), cOut: column(), cIn: column(), cNoise: column(), lossWeight: column() };
  for (const [i, sigma] of sigmas.entries()) {
    const one = precondition(sigma, sigmaData);
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
export function levelsOf(sigmas: Float32Array, sigmaData: number): NoiseLevels<Float32Array> {
  return { sigma: sigmas, ...preconditionBatch(sigmas, sigmaData) };
}

/** The same level for a whole batch. */
export function levelsAt(sigma: number, sigmaData: number, batchSize: number): NoiseLevels<Float32Array> {
  return levelsOf(new Float32Array(batchSize).fill(sigma), sigmaData);
}
