import {
  add,
  attentionScores,
  cast,
  checkpoint,
  concat,
  constant,
  greater,
  mul,
  reshape,
  slice,
  split,
  type Tensor,
} from "../tensor/index.ts";
import { unseen } from "./attentionPattern.ts";

/** Masks by what they hide: one serves all layers, and all parts of a long sequence. */
const masks = new Map<string, Tensor>();

/** [queries, keys]: 0 where the key's group is at most the query's, or less than it; where not, {@link unseen}. */
export function groupMask(ofQuery: Int32Array, ofKey: Int32Array, relation: "at most" | "less"): Tensor {
  const first = ofQuery[0]!;
  const [queries, keys] = [ofQuery, ofKey].map((groups) => groups.map((group) => group - first)) as [Int32Array, Int32Array];
  const name = `${queries} ${relation} ${keys}`;
  const known = masks.get(name);
  if (known !== undefined) return known;
  const reach = relation === "at most" ? queries : queries.map((group) => group - 1);
  const groups = (values: Int32Array): Tensor => constant(values, [values.length], "int32");
  const hidden = greater(reshape(groups(keys), [1, keys.length]), reshape(groups(reach), [queries.length, 1]));
  const mask = mul(cast(hidden, "float32"), unseen);
  masks.set(name, mask);
  return mask;
}

/**
 * Token i of a sequence is preceded by those of the groups before that of `i`; number 0 of what a network reads is
 * the start, and token i − 1 is number i.
 */
export function groupsRead(length: number, groupSize: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => Math.floor((i - 1) / groupSize));
}

/** Attention weights that are there at once, at most: 16 MB. */
const mostWeights = 2 ** 22;

export interface QueryChunks {
  readonly numHeads: number;
  readonly groupSize: number;
  /** Tensors [batch, length, …] of which a part takes its own rows: the queries first. */
  readonly own: readonly Tensor[];
  /** Of which it takes all rows up to `seenBy(to)`. */
  readonly seen: readonly Tensor[];
  readonly seenBy?: (to: number) => number;
}

/** Some queries, from `from` on, with what belongs to them and what they see. */
type QueryChunk = (own: readonly Tensor[], seen: readonly Tensor[], from: number) => Tensor;

/**
 * Attention of queries that see what lies before them, some queries at a time where there are many: each part is
 * compared with the keys up to its end alone, so that long sequences cost half of the square, and hold little of it.
 * Weights that are much larger than what they are made of are made again in the backward pass.
 */
export function inQueryChunks({ numHeads, groupSize, own, seen, seenBy = (to) => to }: QueryChunks, attend: QueryChunk): Tensor {
  const [batch, length, width] = own[0]!.shape as [number, number, number];
  const parts = Math.min(length, Math.ceil((batch * numHeads * length * length) / mostWeights));
  if (parts === 1) {
    const whole = (...all: Tensor[]): Tensor => attend(all.slice(0, own.length), all.slice(own.length), 0);
    return (numHeads * length > 3 * width ? checkpoint(whole) : whole)(...own, ...seen);
  }
  // All in one tensor, so that the gradients of a part are made together, and its weights are not kept until those of all parts are.
  const all = [...own, ...seen];
  const widths = all.map((x) => x.shape[2]!);
  const ownWidth = widths.slice(0, own.length).reduce((sum, one) => sum + one, 0);
  const packed = concat(all, 2);
  const step = groupSize * Math.ceil(length / parts / groupSize);
  const starts = Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
  const run = (x: Tensor, from: number): Tensor => {
    const to = Math.min(length, from + step);
    const mine = split(slice(slice(x, 1, from, to), 2, 0, ownWidth), widths.slice(0, own.length), 2);
    const before = split(slice(slice(x, 1, 0, seenBy(to)), 2, ownWidth, packed.shape[2]!), widths.slice(own.length), 2);
    return attend(mine, before, from);
  };
  return concat(
    starts.map((from) => checkpoint((x: Tensor) => run(x, from))(packed)),
    1,
  );
}

/**
 * Scores [batch, heads, queries, keys] of queries from number `from` on: all of them see the keys before that number,
 * and of the others those of a mask. In pieces along the keys.
 */
export function scoresSeen(query: Tensor, key: Tensor, from: number, mask: Tensor, numHeads: number): Tensor[] {
  const scores = (of: Tensor): Tensor => attentionScores(query, of, { numHeads });
  if (from === 0) return [add(scores(key), mask)];
  return [scores(slice(key, 1, 0, from)), add(scores(slice(key, 1, from, key.shape[1]!)), mask)];
}
