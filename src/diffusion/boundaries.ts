import { PartitionError } from "../errors.ts";
import { type LogNormalNoise, sigmaQuantile } from "./noise.ts";

/**
 * Cuts [sigmaMin, sigmaMax] into ranges of equal probability under the training noise:
 * sigma_b = exp(pMean + pStd * Phi^-1(q_b)), q_b evenly spaced from the cumulative probability of sigmaMax down to sigmaMin's.
 *
 * @param numBlocks B, a whole number of at least 1.
 * @returns B + 1 boundaries, descending from sigmaMax to sigmaMin.
 * @throws {PartitionError} if numBlocks is not a whole number of at least 1.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 3.3, equi-probability partitioning.
 * @example equiProbability(3, edmNoise) // [80, 0.505, 0.180, 0.002]
 */
export function equiProbability(numBlocks: number, noise: LogNormalNoise): readonly number[] {
  return descend(numBlocks, noise, (share) => sigmaQuantile(noise, share));
}

/**
 * Ranges of equal width in sigma: the "uniform" of Section 3.3. Nearly all training noise falls into the last block.
 * @returns B + 1 boundaries, descending.
 * @throws {PartitionError} if numBlocks is not a whole number of at least 1.
 */
export function uniformSigma(numBlocks: number, noise: LogNormalNoise): readonly number[] {
  return descend(numBlocks, noise, (share) => noise.sigmaMin + share * (noise.sigmaMax - noise.sigmaMin));
}

/**
 * Ranges of equal width in ln(sigma): the baseline of the paper's Table 7 (Appendix E.6).
 * @returns B + 1 boundaries, descending.
 * @throws {PartitionError} if numBlocks is not a whole number of at least 1.
 */
export function uniformLogSigma(numBlocks: number, noise: LogNormalNoise): readonly number[] {
  return descend(numBlocks, noise, (share) => noise.sigmaMin * (noise.sigmaMax / noise.sigmaMin) ** share);
}

/** The sigmas at shares 1, 1 - 1/B, ..., 0 of the range; the ends are exact. */
function descend(numBlocks: number, noise: LogNormalNoise, sigmaAt: (share: number) => number): readonly number[] {
  if (!(Number.isSafeInteger(numBlocks) && numBlocks >= 1)) {
    const message = `partition: numBlocks is ${numBlocks}; it must be a whole number of at least 1.`;
    throw new PartitionError("badNumBlocks", { numBlocks }, message);
  }
  const inner = Array.from({ length: numBlocks - 1 }, (_, i) => sigmaAt((numBlocks - 1 - i) / numBlocks));
  return [noise.sigmaMax, ...inner, noise.sigmaMin];
}
