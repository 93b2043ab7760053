import { antitheticTimes, blockOfTime, keptShare, maskingWeight, reconstructionNats } from "../diffusion/index.ts";
import { fold, type Key, uniform, uniformAt } from "../random.ts";
import type { Call } from "../train/index.ts";
import type { MaskedTextModel } from "./answers.ts";
import { shuffled } from "./shuffle.ts";

/** A bound of −ln p of text, in nats for each token, by Monte Carlo over times and masks. */
export interface MaskedBound {
  readonly nats: number;
  /** Standard error of `nats`. */
  readonly error: number;
  /** The part of each block; with the reconstruction at t = 0 they add up to `nats`. */
  readonly parts: readonly number[];
}

export interface MeasureMaskedText {
  readonly model: MaskedTextModel;
  readonly call: Call;
  readonly batchSize: number;
  /** Sequences one after another, each of the model's length. */
  readonly tokens: Int32Array;
  readonly key: Key;
  /** The part of this block alone. */
  readonly block?: number;
}

/**
 * An upper bound of −ln p, E_t[−α′/(1 − α) Σ_masked CE]/length. Each sequence is measured at one time; the times of
 * all are spread evenly over [0, 1], or over the range of one block. Each time has one model, the block that owns it,
 * and the bound holds for any: it is one of all blocks together.
 *
 * @see MD4 (Shi et al. 2024, arXiv 2406.04329), Equation 5.
 */
export async function maskedBound({ model, call, batchSize, tokens, key, block }: MeasureMaskedText): Promise<MaskedBound> {
  const { length, vocabSize, partition } = model;
  const count = Math.floor(tokens.length / length);
  const range = block === undefined ? ([0, 1] as const) : partition.ranges[block]!;
  const width = range[1] - range[0];
  const times = shuffled(antitheticTimes(range, count, uniformAt(key, 0)), fold(key, "order"));
  const groups = Array.from({ length: partition.ranges.length }, (): number[] => []);
  for (const [i, t] of times.entries()) groups[block ?? blockOfTime(partition, t)]!.push(i);
  const values = new Float64Array(count);
  for (const [b, members] of groups.entries()) {
    for (let first = 0; first < members.length; first += batchSize) {
      const batch = members.slice(first, first + batchSize);
      const { bound } = await call(model.bounds[b]!, maskedFeeds(batch, { model, tokens, times, key, batchSize }));
      for (const [i, item] of batch.entries()) values[item] = bound[i]!;
    }
  }
  const parts = groups.map((members) => (width * members.reduce((sum, i) => sum + values[i]!, 0)) / count);
  const mean = parts.reduce((sum, part) => sum + part, 0);
  const variance = values.reduce((sum, value) => sum + (width * value - mean) ** 2, 0) / Math.max(1, count - 1);
  return { nats: mean + (block === undefined ? reconstructionNats(vocabSize) : 0), error: Math.sqrt(variance / count), parts };
}

interface Masking {
  readonly model: MaskedTextModel;
  readonly tokens: Int32Array;
  /** Of each sequence. */
  readonly times: readonly number[];
  readonly key: Key;
  readonly batchSize: number;
}

/** Sequences of these numbers with masks and times, as `bounds` take them. */
function maskedFeeds(batch: readonly number[], { model: { length, partition }, tokens, times, key, batchSize }: Masking) {
  const feeds = {
    tokens: new Int32Array(batchSize * length),
    masked: new Uint8Array(batchSize * length),
    t: new Float32Array(batchSize),
    weight: new Float32Array(batchSize),
  };
  const coins = new Float32Array(length);
  for (const [i, item] of batch.entries()) {
    const t = times[item]!;
    const kept = keptShare(partition.schedule, t);
    feeds.tokens.set(tokens.subarray(item * length, (item + 1) * length), i * length);
    uniform(fold(fold(key, "hidden"), item), coins);
    for (const [place, coin] of coins.entries()) feeds.masked[i * length + place] = coin > kept ? 1 : 0;
    feeds.t[i] = t;
    feeds.weight[i] = maskingWeight(partition.schedule, t);
  }
  return feeds;
}
