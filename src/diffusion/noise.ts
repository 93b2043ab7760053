import { PartitionError } from "../errors.ts";
import { type Key, permutation, split, uniform } from "../random.ts";
import { normalMass, truncatedQuantile } from "./normalQuantile.ts";
import type { Scaling } from "./preconditioning.ts";

/**
 * The noise levels of training, as one value: ln(sigma) ~ N(pMean, pStd^2), cut off outside [sigmaMin, sigmaMax].
 * Sigmas are standard deviations in the units of the targets.
 */
export interface LogNormalNoise extends Scaling {
  readonly pMean: number;
  readonly pStd: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
}

/** An interval of noise levels. */
export type SigmaRange = readonly [low: number, high: number];

/** The constants of all published experiments (EDM, Table 1; DiffusionBlocks, Section 3.3 and Appendix C). */
export const edmNoise: LogNormalNoise = Object.freeze({ pMean: -1.2, pStd: 1.2, sigmaMin: 0.002, sigmaMax: 80, sigmaData: 0.5 });

/**
 * The noise for class embeddings of length 1: EDM's, moved up by 3.7 in ln sigma. Below sigma of about 0.4 a noisy
 * embedding already names its class, and a block that trains there has nothing to learn from the input
 * (docs/QUALITY.md).
 */
export const classNoise: LogNormalNoise = Object.freeze({ ...edmNoise, pMean: 2.5 });

/**
 * `edmNoise` with some constants replaced.
 * @throws {PartitionError} unless all are finite, 0 < sigmaMin < sigmaMax, pStd > 0, sigmaData > 0, and the range holds probability.
 */
export function logNormalNoise(overrides: Partial<LogNormalNoise> = {}): LogNormalNoise {
  const noise: LogNormalNoise = { ...edmNoise, ...overrides };
  const { pMean, pStd, sigmaMin, sigmaMax, sigmaData } = noise;
  const refuse = (what: string): never => {
    throw new PartitionError("badNoise", { noise }, `logNormalNoise: ${what}.`);
  };
  for (const [name, value] of Object.entries({ pMean, pStd, sigmaMin, sigmaMax, sigmaData })) {
    if (!Number.isFinite(value)) refuse(`${name} is ${value}; it must be a finite number`);
  }
  if (!(sigmaMin > 0 && sigmaMin < sigmaMax)) refuse(`the range is [${sigmaMin}, ${sigmaMax}]; it must satisfy 0 < sigmaMin < sigmaMax`);
  if (!(pStd > 0)) refuse(`pStd is ${pStd}; it must be positive`);
  if (!(sigmaData > 0)) refuse(`sigmaData is ${sigmaData}; it must be positive`);
  if (!(normalMass(standardise(noise, sigmaMin), standardise(noise, sigmaMax)) > 1e-12)) {
    refuse(`[${sigmaMin}, ${sigmaMax}] lies where ln(sigma) ~ N(${pMean}, ${pStd}^2) has no probability; move pMean or the range`);
  }
  return Object.freeze(noise);
}

/**
 * The share of the training noise at or below sigma: F(sigma) = (Phi(t) - Phi(tMin)) / (Phi(tMax) - Phi(tMin)), t =
 * (ln sigma - pMean) / pStd. 0 at sigmaMin and below, 1 at sigmaMax and above.
 */
export function cumulative(noise: LogNormalNoise, sigma: number): number {
  if (sigma <= noise.sigmaMin) return 0;
  if (sigma >= noise.sigmaMax) return 1;
  const [low, high] = [standardise(noise, noise.sigmaMin), standardise(noise, noise.sigmaMax)];
  return normalMass(low, standardise(noise, sigma)) / normalMass(low, high);
}

/**
 * The inverse of `cumulative`: the sigma below which a share u of the training noise lies.
 * @throws {PartitionError} if u is not in [0, 1].
 */
export function sigmaQuantile(noise: LogNormalNoise, u: number): number {
  if (!(u >= 0 && u <= 1)) throw new PartitionError("badShare", { u }, `sigmaQuantile: u is ${u}; it must be a share from 0 to 1.`);
  return quantileWithin(noise, [noise.sigmaMin, noise.sigmaMax])(u);
}

export interface SampleSigmasOptions {
  /**
   * One sigma from each of `out.length` parts of equal probability, in random order, instead of independent ones: each sigma has the
   * same distribution as before, and the mean over the batch varies less. Default false.
   */
  readonly stratified?: boolean;
}

/**
 * Fills `out` with noise levels from the training distribution restricted to `range`, by inverse CDF in float64 (float32 has no
 * digits left where the CDF nears 1). A pure function of the key.
 *
 * @param range [low, high], one of a partition's ranges.
 * @param out [batch], one sigma for each sample.
 * @throws {PartitionError} if the range is empty or not positive.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 3.3.
 */
export function sampleSigmas(
  noise: LogNormalNoise,
  range: SigmaRange,
  key: Key,
  out: Float32Array,
  options: SampleSigmasOptions = {},
): void {
  const [low, high] = range;
  if (!(low > 0 && low <= high && high < Number.POSITIVE_INFINITY)) {
    throw new PartitionError("badRange", { range }, `sampleSigmas: the range is [${low}, ${high}]; it must satisfy 0 < low <= high.`);
  }
  const [shareKey, orderKey] = split(key);
  const shares = new Float64Array(out.length);
  uniform(shareKey, shares);
  if (options.stratified) {
    const stratum = permutation(orderKey, out.length);
    for (let i = 0; i < out.length; i++) shares[i] = (stratum[i]! + shares[i]!) / out.length;
  }
  const quantile = quantileWithin(noise, range);
  for (let i = 0; i < out.length; i++) out[i] = quantile(shares[i]!);
}

/** Share of the range's probability -> sigma, never outside the range. */
function quantileWithin(noise: LogNormalNoise, [low, high]: SigmaRange): (share: number) => number {
  const [from, to] = [standardise(noise, low), standardise(noise, high)];
  return (share) => {
    const sigma = Math.exp(noise.pMean + noise.pStd * truncatedQuantile(from, to, share));
    return Math.min(Math.max(sigma, low), high);
  };
}

function standardise({ pMean, pStd }: LogNormalNoise, sigma: number): number {
  return (Math.log(sigma) - pMean) / pStd;
}
