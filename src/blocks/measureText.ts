import { blockOfTime, keptShare, maskingWeight } from "../diffusion/index.ts";
import { fold, type Key, uniform, uniformAt } from "../random.ts";
import type { CallProgram } from "../train/index.ts";
import { antithetic, type MaskedText, reconstruction } from "./maskedText.ts";

/** A bound of −ln p of text, in nats for each token, by Monte Carlo over times and what is hidden. */
export interface TextBound {
  readonly nats: number;
  /** Standard error of `nats`. */
  readonly error: number;
  /** What each block contributes; with the reconstruction at t = 0 they add up to `nats`. */
  readonly parts: readonly number[];
}

export interface TextBoundOptions {
  readonly method: MaskedText;
  readonly call: CallProgram;
  readonly batchSize: number;
  /** Sequences one after another, each of the architecture's length. */
  readonly tokens: Int32Array;
  readonly key: Key;
  /** Only the part of this block. */
  readonly block?: number;
}

/**
 * Each sequence is measured at one time; the times of all are spread evenly over [0, 1], or over the range of one block, and each is asked of the block that owns it.
 * Every time has one model, and the bound holds for any: so this is an upper bound of the likelihood of the blocks together.
 */
export async function textBound({ method, call, batchSize, tokens, key, block }: TextBoundOptions): Promise<TextBound> {
  const { architecture, partition } = method;
  const { length } = architecture;
  const count = Math.floor(tokens.length / length);
  const range = block === undefined ? ([0, 1] as const) : partition.ranges[block]!;
  const width = range[1] - range[0];
  const times = shuffled(antithetic(range, count, uniformAt(key, 0)), fold(key, "order"));
  const groups = Array.from({ length: partition.ranges.length }, (): number[] => []);
  for (const [i, t] of times.entries()) groups[block ?? blockOfTime(partition, t)]!.push(i);
  const values = new Float64Array(count);
  for (const [b, members] of groups.entries()) {
    for (let first = 0; first < members.length; first += batchSize) {
      const batch = members.slice(first, first + batchSize);
      const feeds = hiddenFeeds(batch, { method, tokens, times, key, batchSize });
      const bound = (await call(`block-${b} bound`, feeds)).bound as Float32Array;
      for (const [i, item] of batch.entries()) values[item] = bound[i]!;
    }
  }
  const parts = groups.map((members) => (width * members.reduce((sum, i) => sum + values[i]!, 0)) / count);
  const mean = parts.reduce((sum, part) => sum + part, 0);
  const variance = values.reduce((sum, value) => sum + (width * value - mean) ** 2, 0) / Math.max(1, count - 1);
  return { nats: mean + (block === undefined ? reconstruction(architecture) : 0), error: Math.sqrt(variance / count), parts };
}

interface Hiding {
  readonly method: MaskedText;
  readonly tokens: Int32Array;
  readonly times: readonly number[];
  readonly key: Key;
  readonly batchSize: number;
}

function hiddenFeeds(
  batch: readonly number[],
  { method: { architecture, partition }, tokens, times, key, batchSize }: Hiding,
): Parameters<CallProgram>[1] {
  const { length } = architecture;
  const feeds = {
    tokens: new Int32Array(batchSize * length),
    hidden: new Uint8Array(batchSize * length),
    t: new Float32Array(batchSize),
    weight: new Float32Array(batchSize),
    kept: new Float32Array(batchSize),
  };
  const coins = new Float32Array(length);
  for (const [i, item] of batch.entries()) {
    const t = times[item]!;
    const kept = keptShare(partition.schedule, t);
    feeds.tokens.set(tokens.subarray(item * length, (item + 1) * length), i * length);
    uniform(fold(fold(key, "hidden"), item), coins);
    for (const [place, coin] of coins.entries()) feeds.hidden[i * length + place] = coin > kept ? 1 : 0;
    feeds.t[i] = t;
    feeds.weight[i] = maskingWeight(partition.schedule, t);
    feeds.kept[i] = kept;
  }
  return feeds;
}

/** Values in an order of the key's. */
export function shuffled(values: readonly number[], key: Key): readonly number[] {
  const order = Array.from(values, (value, i) => ({ value, at: uniformAt(key, i) }));
  return order.sort((a, b) => a.at - b.at).map(({ value }) => value);
}
