import {
  add,
  attention,
  attentionScores,
  attentionSum,
  cast,
  checkpoint,
  concat,
  constant,
  greater,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  split,
  type Tensor,
  transpose,
} from "../tensor/index.ts";

export interface Heads {
  /** Of the queries; keys and values may have fewer. */
  readonly numHeads: number;
  /** What the weights pass through, such as dropout. */
  readonly change?: ((weights: Tensor) => Tensor) | undefined;
}

/** Keys and values of some tokens in one layer, each [batch, tokens, key heads · d], keys turned by their positions. */
export interface KeyValue {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Which tokens a token sees, and where tokens stand: what an attention layer asks. */
export interface View {
  /** Of each token, int32 [rows, tokens] with one row for all or one for each item; 0, 1, 2, … where undefined. */
  readonly positions?: Tensor | undefined;
  /** Query [batch, tokens, heads · d], keys and values of the same tokens -> [batch, tokens, heads · d]. */
  attend(query: Tensor, own: KeyValue, heads: Heads): Tensor;
}

/** Every token sees every token. */
export const everyToken: View = { attend: (query, { key, value }, heads) => attention(query, key, value, heads) };

/** Added to the score of a key that is not seen: its weight is 0 to the last bit. */
const unseen = -1e9;

/** Masks that were made: one serves all layers, and all parts of a long sequence. */
const masks = new Map<string, Tensor>();

/** [queries, keys]: 0 where the key's group is at most the query's, or less than it; where not, {@link unseen}. */
function groupMask(ofQuery: Int32Array, ofKey: Int32Array, relation: "at most" | "less"): Tensor {
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

/** Token i of a sequence is preceded by those of the groups before that of `i`; number 0 of what a network reads is the start, and token i − 1 is number i. */
function groupsRead(length: number, groupSize: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => Math.floor((i - 1) / groupSize));
}

/** Attention weights that are there at once, at most: 16 MB. */
const mostWeights = 2 ** 22;

interface InParts {
  readonly numHeads: number;
  readonly groupSize: number;
  /** Tensors [batch, length, …] of which a part takes its own rows: the queries first. */
  readonly own: readonly Tensor[];
  /** Of which it takes all rows up to `seenBy(to)`. */
  readonly seen: readonly Tensor[];
  readonly seenBy?: (to: number) => number;
}

/** Some queries, from `from` on, with what belongs to them and what they see. */
type QueryPart = (own: readonly Tensor[], seen: readonly Tensor[], from: number) => Tensor;

/**
 * Attention of queries that see what lies before them, some queries at a time where there are many: each part is compared with the keys up to its end alone, so that long sequences cost half of the square, and hold little of it.
 * Weights that are much larger than what they are made of are made again in the backward pass.
 */
function inQueryParts({ numHeads, groupSize, own, seen, seenBy = (to) => to }: InParts, attend: QueryPart): Tensor {
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

/** Scores [batch, heads, queries, keys] of queries from number `from` on: all of them see the keys before that number, and of the others those of a mask. In pieces along the keys. */
function scoresSeen(query: Tensor, key: Tensor, from: number, mask: Tensor, numHeads: number): Tensor[] {
  const scores = (of: Tensor): Tensor => attentionScores(query, of, { numHeads });
  if (from === 0) return [add(scores(key), mask)];
  return [scores(slice(key, 1, 0, from)), add(scores(slice(key, 1, from, key.shape[1]!)), mask)];
}

/** Every token sees itself and those before it; with `groupSize`, behind the start, all of its group of tokens and of the groups before. */
export function causal(length: number, groupSize = 1): View {
  const groups = groupsRead(length, groupSize);
  const seenBy = (to: number): number => Math.min(length, to + groupSize - 1); // of the last query's group
  return {
    attend: (query, { key, value }, { numHeads, change }) =>
      inQueryParts({ numHeads, groupSize, own: [query], seen: [key, value], seenBy }, ([own], [k, v], from) => {
        const mask = groupMask(groups.subarray(from, from + own!.shape[1]!), groups.subarray(from, k!.shape[1]!), "at most");
        const weights = softmax(concat(scoresSeen(own!, k!, from, mask, numHeads), 3));
        return attentionSum(change?.(weights) ?? weights, v!, query.shape[2]! / numHeads);
      }),
  };
}

/**
 * Estimates of tokens beside a reading of the tokens before them, whose keys and values are `read`: estimate i sees those of its own group, and of what was read the start and the groups before.
 *
 * @see Block Diffusion (Arriola et al. 2025), and DiffusionBlocks, Appendix E.4: noisy i sees noisy i and clean j < i.
 */
export function beside(read: KeyValue, groupSize = 1): View {
  const length = read.key.shape[1]!;
  const groups = Int32Array.from({ length }, (_, i) => Math.floor(i / groupSize));
  const before = groupsRead(length, groupSize);
  return {
    attend: (query, own, { numHeads, change }) => {
      const headWidth = query.shape[2]! / numHeads;
      const tensors = { numHeads, groupSize, own: [query, own.key, own.value], seen: [read.key, read.value] };
      return inQueryParts(tensors, ([part, key, value], [readKey, readValue], from) => {
        const [queries, keys] = [part!.shape[1]!, readKey!.shape[1]!];
        const mask = groupMask(groups.subarray(from, from + queries), before.subarray(from, keys), "less");
        const ofGroup = ownScores(part!, key!, numHeads, groupSize);
        const weights = softmax(concat([...scoresSeen(part!, readKey!, from, mask, numHeads), ofGroup], 3)); // [batch, heads, queries, keys + group]
        const [ofRead, ofOwn] = split(change?.(weights) ?? weights, [keys, groupSize], 3) as [Tensor, Tensor];
        return add(attentionSum(ofRead, readValue!, headWidth), ownSum(ofOwn, value!, headWidth, groupSize));
      });
    },
  };
}

/** What tokens see that come after those of a cache: its slots where `isFilled`, float32 [slots], is 1, and of their own group all tokens, or those where `isFresh`, float32 [tokens], is 1. */
export function following(past: KeyValue, isFilled: Tensor, positions: Tensor, isFresh?: Tensor): View {
  const hidden = (isSeen: Tensor): Tensor => mul(add(isSeen, -1), -unseen); // 0 where seen
  return {
    positions,
    attend: (query, { key, value }, heads) => {
      const own = isFresh === undefined ? constant(new Float32Array(key.shape[1]!), [key.shape[1]!]) : hidden(isFresh);
      const all = { key: concat([past.key, key], 1), value: concat([past.value, value], 1) };
      return attention(query, all.key, all.value, { ...heads, mask: concat([hidden(isFilled), own], 0) });
    },
  };
}

/** Scores within each group: [batch, heads, tokens, groupSize]. */
function ownScores(query: Tensor, key: Tensor, numHeads: number, groupSize: number): Tensor {
  const [batch, length, width] = query.shape as [number, number, number];
  const headWidth = width / numHeads;
  const groups = length / groupSize;
  const [q, k] = [query, spread(key, numHeads, headWidth)];
  if (groupSize === 1) {
    const products = reduceSum(reshape(mul(mul(q, k), 1 / Math.sqrt(headWidth)), [batch, length, numHeads, headWidth]), -1, true);
    return transpose(products, [0, 2, 1, 3]);
  }
  const scores = attentionScores(reshape(q, [batch * groups, groupSize, width]), reshape(k, [batch * groups, groupSize, width]), {
    numHeads,
  });
  return joinGroups(scores, batch);
}

/** Values of each group summed by weights [batch, heads, tokens, groupSize]. */
function ownSum(weights: Tensor, value: Tensor, headWidth: number, groupSize: number): Tensor {
  const [batch, numHeads, length] = weights.shape as [number, number, number, number];
  const width = numHeads * headWidth;
  const v = spread(value, numHeads, headWidth);
  if (groupSize === 1)
    return reshape(mul(transpose(weights, [0, 2, 1, 3]), reshape(v, [batch, length, numHeads, headWidth])), [batch, length, width]);
  const groups = length / groupSize;
  const inGroups = transpose(reshape(weights, [batch, numHeads, groups, groupSize, groupSize]), [0, 2, 1, 3, 4]);
  const sums = attentionSum(
    reshape(inGroups, [batch * groups, numHeads, groupSize, groupSize]),
    reshape(v, [batch * groups, groupSize, width]),
    headWidth,
  );
  return reshape(sums, [batch, length, width]);
}

/** [batch · groups, heads, groupSize, groupSize] -> [batch, heads, groups · groupSize, groupSize] */
function joinGroups(scores: Tensor, batch: number): Tensor {
  const [rows, numHeads, groupSize] = scores.shape as [number, number, number, number];
  const groups = rows / batch;
  const byItem = transpose(reshape(scores, [batch, groups, numHeads, groupSize, groupSize]), [0, 2, 1, 3, 4]);
  return reshape(byItem, [batch, numHeads, groups * groupSize, groupSize]);
}

/** Key heads, each repeated for the query heads of its group: [batch, tokens, key heads · d] -> [batch, tokens, heads · d]. */
function spread(x: Tensor, numHeads: number, headWidth: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  const keyHeads = width / headWidth;
  if (keyHeads === numHeads) return x;
  const repeated = concat(
    Array.from({ length: numHeads / keyHeads }, () => reshape(x, [batch, length, keyHeads, 1, headWidth])),
    3,
  );
  return reshape(repeated, [batch, length, numHeads * headWidth]);
}
