import { PartitionError } from "../errors.ts";
import { equiProbability, uniformLogSigma, uniformSigma } from "./boundaries.ts";
import { edmNoise, type LogNormalNoise, logNormalNoise, type SigmaRange } from "./noise.ts";
import { preconditioningKinds } from "./preconditioning.ts";

/** Rules to cut the noise range: equal probability, equal width in sigma, equal width in ln(sigma). */
export type PartitionStrategy = "equi-probability" | "uniform" | "uniform-log";

const strategies: Record<PartitionStrategy, (numBlocks: number, noise: LogNormalNoise) => readonly number[]> = {
  "equi-probability": equiProbability,
  uniform: uniformSigma,
  "uniform-log": uniformLogSigma,
};

export const partitionStrategies: readonly PartitionStrategy[] = Object.keys(strategies) as PartitionStrategy[];

/** The noise range cut into blocks: block 0 is the first group of layers and owns the highest noise. Plain data, constant for a run. */
export interface Partition {
  /** "custom": boundaries that someone chose. */
  readonly strategy: PartitionStrategy | "custom";
  readonly noise: LogNormalNoise;
  /** B + 1 sigmas, descending from sigmaMax to sigmaMin. */
  readonly boundaries: readonly number[];
  /** Share of a range's width in ln(sigma) by which training widens it on both sides; the paper's gamma. */
  readonly overlap: number;
  /** Of each block, [boundaries[b + 1], boundaries[b]]: where it answers. */
  readonly ranges: readonly SigmaRange[];
  /** Of each block, the range widened by the overlap and clamped to [sigmaMin, sigmaMax]: where it learns. */
  readonly trainingRanges: readonly SigmaRange[];
}

/** Whether ranges are of noise levels, and not of times. */
export function isNoisePartition(ranges: object): ranges is Partition {
  return "noise" in ranges && "boundaries" in ranges;
}

export interface PartitionOptions {
  /** B, a whole number of at least 1. */
  readonly numBlocks: number;
  /** Of training. It depends on the targets: `edmNoise` for images, `classNoise` for embeddings of length 1. */
  readonly noise: LogNormalNoise;
  /** Default "equi-probability". */
  readonly strategy?: PartitionStrategy;
  /** From 0 to 1, default 0.05. The paper takes 0.05 for images, 0.1 for text, 0 in its ablations (Appendix C). */
  readonly overlap?: number;
}

/**
 * Cuts the noise range into `numBlocks` ranges.
 * @throws {PartitionError} if numBlocks, strategy or overlap is out of range.
 * @example partition({ numBlocks: 3, noise: edmNoise }).ranges // [[0.505, 80], [0.180, 0.505], [0.002, 0.180]]
 */
export function partition({ numBlocks, noise, strategy = "equi-probability", overlap = 0.05 }: PartitionOptions): Partition {
  if (!Object.hasOwn(strategies, strategy)) {
    const message = `partition: the strategy "${strategy}" is unknown. Known: ${partitionStrategies.join(", ")}.`;
    throw new PartitionError("unknownStrategy", { strategy }, message);
  }
  return assemble(strategy, noise, strategies[strategy](numBlocks, noise), overlap);
}

export interface PartitionFromBoundariesOptions {
  /** B + 1 sigmas, descending from the noise's sigmaMax to its sigmaMin. */
  readonly boundaries: readonly number[];
  readonly noise: LogNormalNoise;
  readonly overlap?: number;
}

/**
 * A partition with boundaries of one's own. Defaults as in `partition`.
 * @throws {PartitionError} if the boundaries do not descend strictly, or do not run from sigmaMax to sigmaMin.
 */
export function partitionFromBoundaries({ boundaries, noise, overlap = 0.05 }: PartitionFromBoundariesOptions): Partition {
  return assemble("custom", noise, boundaries, overlap);
}

/** Sigmas that differ by less than this share count as equal: far above float32 rounding, far below any step of a grid. */
const TIE = 1e-6;

/**
 * The block that answers for a noise level: the one rule for training, sampling, evaluation and export.
 *
 * A sigma on an inner boundary belongs to the noisier block. It is on the boundary if it lies within 1e-6 of it (relative), so that
 * grids rounded to float32 resolve ties as exact ones do. Sigmas beyond the range go to the nearest block.
 *
 * @throws {PartitionError} if sigma is negative or not a number.
 */
export function blockOfSigma({ boundaries }: Pick<Partition, "boundaries">, sigma: number): number {
  if (!(sigma >= 0)) {
    throw new PartitionError("badSigma", { sigma }, `blockOfSigma: sigma is ${sigma}; a noise level is a number of at least 0.`);
  }
  let block = 0;
  while (block + 2 < boundaries.length && sigma < boundaries[block + 1]! * (1 - TIE)) block++;
  return block;
}

function assemble(strategy: Partition["strategy"], noise: LogNormalNoise, given: readonly number[], overlap: number): Partition {
  if (!(overlap >= 0 && overlap <= 1)) {
    const message = `partition: overlap is ${overlap}; it must lie in [0, 1], usually between 0 and 0.1.`;
    throw new PartitionError("badOverlap", { overlap }, message);
  }
  const boundaries = Object.freeze([...given]);
  checkBoundaries(boundaries, noise);
  const ranges = boundaries.slice(1).map((low, block): SigmaRange => [low, boundaries[block]!]);
  const trainingRanges = ranges.map((range) => widen(range, overlap, noise));
  return Object.freeze({ strategy, noise, boundaries, overlap, ranges, trainingRanges });
}

function checkBoundaries(boundaries: readonly number[], { sigmaMin, sigmaMax }: LogNormalNoise): void {
  const refuse = (code: string, what: string): never => {
    throw new PartitionError(code, { boundaries, sigmaMin, sigmaMax }, `partition: ${what}. Given: [${boundaries.join(", ")}].`);
  };
  if (boundaries.length < 2) refuse("tooFewBoundaries", "B blocks need B + 1 boundaries, at least 2");
  for (let i = 0; i < boundaries.length; i++) {
    if (!(Number.isFinite(boundaries[i]) && boundaries[i]! > 0)) refuse("badBoundary", "boundaries must be positive and finite");
    // Closer neighbours than this could not be told apart by blockOfSigma.
    if (i > 0 && !(boundaries[i]! < boundaries[i - 1]! * (1 - 4 * TIE))) refuse("notDescending", "boundaries must descend strictly");
  }
  const apart = (a: number, b: number) => Math.abs(a - b) > TIE * b;
  if (apart(boundaries[0]!, sigmaMax) || apart(boundaries.at(-1)!, sigmaMin)) {
    refuse("rangeNotCovered", `boundaries must run from sigmaMax ${sigmaMax} to sigmaMin ${sigmaMin} of the noise`);
  }
}

/** [low / alpha, high alpha] with alpha = (high / low)^overlap, clamped (DiffusionBlocks, Appendix C). */
function widen([low, high]: SigmaRange, overlap: number, { sigmaMin, sigmaMax }: LogNormalNoise): SigmaRange {
  const alpha = (high / low) ** overlap;
  return [Math.max(low / alpha, sigmaMin), Math.min(high * alpha, sigmaMax)];
}

/** The content of partition.json; the ranges follow from it. */
export type PartitionJSON = Pick<Partition, "strategy" | "noise" | "boundaries" | "overlap">;

export function partitionToJSON({ strategy, noise, boundaries, overlap }: Partition): PartitionJSON {
  return { strategy, noise: { ...noise }, boundaries: [...boundaries], overlap };
}

/**
 * The stored partition, with the boundaries as they were stored, not computed anew.
 * @throws {PartitionError} if a field is missing, of a wrong type, or out of range.
 */
export function partitionFromJSON(json: unknown): Partition {
  const { strategy, noise, boundaries, overlap } = Object(json) as Partial<Record<keyof PartitionJSON, unknown>>;
  const isNumber = (value: unknown): value is number => typeof value === "number";
  const known = strategy === "custom" || (typeof strategy === "string" && Object.hasOwn(strategies, strategy));
  const hasNoise = Object.keys(edmNoise).every((name) => isNumber((Object(noise) as Record<string, unknown>)[name]));
  const isKnown = (of: unknown): boolean => [undefined, ...preconditioningKinds].includes((Object(of) as LogNormalNoise).preconditioning);
  if (!known || !hasNoise || !isKnown(noise) || !Array.isArray(boundaries) || !boundaries.every(isNumber) || !isNumber(overlap)) {
    const message = "partitionFromJSON: expected { strategy, noise: { pMean, pStd, sigmaMin, sigmaMax, sigmaData }, boundaries, overlap }.";
    throw new PartitionError("badPartitionJSON", { json }, message);
  }
  const { pMean, pStd, sigmaMin, sigmaMax, sigmaData, preconditioning } = noise as LogNormalNoise;
  const own = logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax, sigmaData, ...(preconditioning && { preconditioning }) });
  return assemble(strategy as Partition["strategy"], own, boundaries, overlap);
}
