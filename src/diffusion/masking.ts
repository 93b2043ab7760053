import { PartitionError } from "../errors.ts";

/**
 * The share of tokens that are masked at time t: each is kept with probability α(t), which falls from nearly 1 at t =
 * 0 to nearly 0 at t = 1. `linear`: 1 − t; `cosine`: 1 − cos(π/2 (1 − t)). Both are squeezed to [ε, 1 − ε], ε = 1e−4
 * (Shi et al. 2024, MD4).
 */
export type MaskingSchedule = "linear" | "cosine";

export const maskingEpsilon = 1e-4;

/** α(t). */
export function keptShare(schedule: MaskingSchedule, t: number): number {
  const plain = schedule === "linear" ? 1 - t : 1 - Math.cos((Math.PI / 2) * (1 - t));
  return (1 - 2 * maskingEpsilon) * plain + maskingEpsilon;
}

/** −α′(t)/(1 − α(t)): the weight of a masked token's cross-entropy in the bound of the likelihood; never negative. */
export function maskingWeight(schedule: MaskingSchedule, t: number): number {
  const slope = schedule === "linear" ? 1 : (Math.PI / 2) * Math.sin((Math.PI / 2) * (1 - t));
  return ((1 - 2 * maskingEpsilon) * slope) / (1 - keptShare(schedule, t));
}

/** The time at which the unsqueezed schedule keeps this share. */
function timeOfShare(schedule: MaskingSchedule, share: number): number {
  return schedule === "linear" ? 1 - share : 1 - (2 / Math.PI) * Math.acos(1 - share);
}

/** An interval of times. */
export type TimeRange = readonly [low: number, high: number];

/** The times cut into ranges, one for each block, by equal decrements of α: each block has an equal share of the masked tokens. */
export interface MaskingPartition {
  readonly schedule: MaskingSchedule;
  /** Of each block, block 0 (the first layers) with the most masked tokens. */
  readonly ranges: readonly TimeRange[];
  /** The same, widened by the overlap: for training. */
  readonly trainingRanges: readonly TimeRange[];
}

/**
 * @param overlap γ: training ranges are wider by γ times their width on both sides, inside [0, 1].
 * @throws {PartitionError} unless there is at least one block and 0 ≤ γ.
 * @see DiffusionBlocks (arXiv 2506.14202), Appendix D.1.
 */
export function maskingPartition({
  numBlocks,
  schedule = "linear",
  overlap = 0.05,
}: {
  readonly numBlocks: number;
  readonly schedule?: MaskingSchedule;
  readonly overlap?: number;
}): MaskingPartition {
  if (!(Number.isInteger(numBlocks) && numBlocks >= 1))
    throw new PartitionError(
      "numBlocks",
      { numBlocks },
      `maskingPartition: the number of blocks must be a whole number of at least 1, got ${numBlocks}.`,
    );
  if (!(overlap >= 0))
    throw new PartitionError("overlap", { overlap }, `maskingPartition: the overlap is ${overlap}; it must be at least 0.`);
  const times = Array.from({ length: numBlocks + 1 }, (_, b) => timeOfShare(schedule, 1 - b / numBlocks));
  const ranges = Array.from({ length: numBlocks }, (_, b): TimeRange => [times[numBlocks - b - 1]!, times[numBlocks - b]!]);
  const trainingRanges = ranges.map(([low, high]): TimeRange => {
    const more = overlap * (high - low);
    return [Math.max(0, low - more), Math.min(1, high + more)];
  });
  return { schedule, ranges, trainingRanges };
}

/** The block that owns a time; a boundary belongs to the block with more masked tokens. */
export function blockOfTime({ ranges }: MaskingPartition, t: number): number {
  const block = ranges.findIndex(([low]) => t >= low);
  return block < 0 ? ranges.length - 1 : block;
}

/** Times spread evenly over a range from one random number u in [0, 1): t_k = low + (high − low) · ((u + k/N) mod 1), k = 0 … N − 1. */
export function antitheticTimes([low, high]: TimeRange, count: number, u: number): readonly number[] {
  return Array.from({ length: count }, (_, k) => low + (high - low) * ((u + k / count) % 1));
}

/**
 * The part of the likelihood's bound that no network decides, in nats for each token: at t = 0 a share ε of the
 * tokens is still masked.
 */
export function reconstructionNats(vocabSize: number): number {
  return maskingEpsilon * Math.log(vocabSize);
}
