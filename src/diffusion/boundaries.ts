import { PartitionError } from "../errors.ts";
import { cumulative, type LogNormalNoise, sigmaQuantile } from "./noise.ts";

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

/** A loss measured at a noise level. */
export interface LevelLoss {
  readonly sigma: number;
  readonly loss: number;
}

/**
 * Ranges in which training meets equal losses: equal shares of ∫ loss(sigma) p(sigma) dsigma, p being the training
 * noise. Between the levels where it was measured the loss is a straight line over the share of the noise below,
 * outside them constant. Where the loss is the same at all levels, these are the ranges of equal probability.
 *
 * @param losses at one level or more, in any order.
 * @returns B + 1 boundaries, descending.
 * @throws {PartitionError} if numBlocks is not a whole number of at least 1, or the losses are not positive and
 *   finite.
 */
export function equalLoss(numBlocks: number, noise: LogNormalNoise, losses: readonly LevelLoss[]): readonly number[] {
  if (losses.length === 0 || losses.some(({ sigma, loss }) => !(sigma > 0 && loss > 0 && Number.isFinite(loss)))) {
    throw new PartitionError("badLosses", { losses }, "partition: losses must be positive and finite, at one positive sigma or more.");
  }
  const points = losses.map(({ sigma, loss }) => ({ share: cumulative(noise, sigma), loss })).sort((a, b) => a.share - b.share);
  const line = [{ share: 0, loss: points[0]!.loss }, ...points, { share: 1, loss: points.at(-1)!.loss }];
  const areas = line.slice(1).map(({ share, loss }, i) => ((loss + line[i]!.loss) / 2) * (share - line[i]!.share));
  const whole = areas.reduce((sum, area) => sum + area, 0);
  return descend(numBlocks, noise, (wanted) => {
    let rest = wanted * whole;
    const i = Math.max(
      0,
      areas.findIndex((area) => {
        rest -= area;
        return rest <= 0;
      }),
    );
    const [from, to] = [line[i]!, line[i + 1]!];
    return sigmaQuantile(noise, from.share + (to.share - from.share) * partOfTrapezoid(from.loss, to.loss, 1 + rest / areas[i]!));
  });
}

/** Where, from 0 to 1, a share of the area under a line from `first` to `last` lies to the left. */
function partOfTrapezoid(first: number, last: number, share: number): number {
  const slope = (last - first) / 2;
  const area = (share * (first + last)) / 2;
  return Math.abs(slope) < 1e-12 * first ? area / first : (2 * area) / (first + Math.sqrt(first * first + 4 * slope * area));
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
