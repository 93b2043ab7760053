import type { Node, Operator, Tensor } from "../tensor.ts";
import { applyOne } from "../tensor.ts";
import { add, mul, sub } from "./elementwise.ts";
import { matmul, plainMatmul } from "./linalg.ts";
import { reshape, transpose } from "./movement.ts";
import { reduceSum, softmax } from "./reduce.ts";

interface AttentionAttributes {
  readonly numHeads: number;
  /** Factor of the scores. */
  readonly alpha: number;
}

const attentionOperator: Operator<AttentionAttributes> = {
  name: "attention",
  type: ([query, key, value], { numHeads }, fail) => {
    if (query!.rank !== 3 || key!.rank !== 3 || value!.rank !== 3) return fail("takes [batch, tokens, width] three times.");
    const [batch, tokens, width] = query!.shape as [number, number, number];
    if (width % numHeads !== 0) return fail(`the width ${width} does not divide into ${numHeads} heads.`);
    if (key!.shape.join() !== value!.shape.join()) return fail("key and value differ.");
    if (key!.shape[0] !== batch || key!.shape[2] !== width) return fail("batch and width of query and key differ.");
    return { dtype: "float32", shape: [batch, tokens, width] };
  },
  onnx: ({ numHeads, alpha }) => ({
    opType: "MultiHeadAttention",
    domain: "com.microsoft",
    attributes: { num_heads: numHeads, scale: alpha },
    floats: ["scale"],
  }),
  // The weights are made again rather than kept. With s = Σ dy·y over a head's width: dScores = weights · (dy vᵀ − s)
  // (Dao et al. 2022, Appendix B).
  vjp: ({ inputs, outputs: [y], cotangents: [dy], attributes: { numHeads, alpha } }) => {
    const [query, key, value, dHeads] = [...inputs, dy!].map((x) => splitHeads(x, numHeads)) as [Tensor, Tensor, Tensor, Tensor];
    const weights = softmax(matmul(query, key, { transB: true, alpha })); // [batch, heads, query, key]
    const total = reduceSum(splitHeads(mul(dy!, y!), numHeads), -1, true); // [batch, heads, query, 1]
    const dScores = mul(weights, sub(matmul(dHeads, value, { transB: true }), total));
    return [
      joinHeads(matmul(dScores, key, { alpha })),
      joinHeads(matmul(dScores, query, { transA: true, alpha })),
      joinHeads(matmul(weights, dHeads, { transA: true })),
    ];
  },
};

export interface AttentionOptions {
  readonly numHeads: number;
  /** Added to the scores, [queries, keys] or what broadcasts to it: 0 where a query sees a key, a large negative number where not. */
  readonly mask?: Tensor | undefined;
  /** Factor of the scores, 1/√(width / numHeads) by default. */
  readonly alpha?: number;
  /** A function that the weights [batch, heads, query, key] pass through, such as dropout. */
  readonly change?: ((weights: Tensor) => Tensor) | undefined;
}

/**
 * Multi-head attention, softmax(alpha · q kᵀ + mask) v in each head (Vaswani et al. 2017): query [batch, queries,
 * width], key and value [batch, keys, width] -> [batch, queries, width]. Keys and values may have fewer heads, each
 * for a group of query heads (Ainslie et al. 2023). Without a mask, weights that are larger than query, key and value
 * together are made again in the backward pass instead of kept; smaller ones are kept, which is 2 to 3 % faster.
 */
export function attention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { numHeads, mask, alpha = 1 / Math.sqrt(query.shape.at(-1)! / numHeads), change }: AttentionOptions,
): Tensor {
  const [, tokens, width] = key.shape as [number, number, number];
  const isPlain = mask === undefined && change === undefined && width === query.shape[2];
  if (isPlain && numHeads * tokens > 3 * width) return applyOne(attentionOperator, [query, key, value], { numHeads, alpha });
  const scores = attentionScores(query, key, { numHeads, alpha });
  const weights = softmax(mask === undefined ? scores : add(scores, mask));
  return attentionSum(change?.(weights) ?? weights, value, query.shape[2]! / numHeads);
}

/** `attention` without a mask, without ONNX Runtime's fused operators. */
export function plainAttention(query: Tensor, key: Tensor, value: Tensor, { numHeads, alpha }: AttentionAttributes): Tensor {
  const [q, k, v] = [query, key, value].map((x) => splitHeads(x, numHeads)) as [Tensor, Tensor, Tensor];
  return joinHeads(plainMatmul(softmax(plainMatmul(q, k, { transB: true, alpha })), v, {}));
}

/**
 * The weights [batch, heads, queries, keys] of a node that is an attention's: its softmax, or, of the fused operator, which gives none
 * away, the same made of its query and key. Undefined for other nodes.
 */
export function attentionWeightsOf({ operator, attributes, inputs, outputs }: Node): Tensor | undefined {
  if (operator.name === attentionOperator.name) return softmax(attentionScores(inputs[0]!, inputs[1]!, attributes as AttentionAttributes));
  return operator.name === "softmax" && outputs[0]!.rank === 4 ? outputs[0] : undefined;
}

/** alpha · q kᵀ in each head, [batch, heads, queries, keys]; see {@link attention}. */
export function attentionScores(
  query: Tensor,
  key: Tensor,
  { numHeads, alpha = 1 / Math.sqrt(query.shape.at(-1)! / numHeads) }: Pick<AttentionOptions, "numHeads" | "alpha">,
): Tensor {
  const [batch, queries, width] = query.shape as [number, number, number];
  const keyHeads = (key.shape[2]! * numHeads) / width;
  const k = splitHeads(key, keyHeads);
  const q = grouped(splitHeads(query, numHeads), keyHeads);
  return reshape(matmul(q, k, { transB: true, alpha }), [batch, numHeads, queries, key.shape[1]!]);
}

/** Values summed by weights [batch, heads, queries, keys]: [batch, keys, key heads · d] -> [batch, queries, heads · d], d = headWidth. */
export function attentionSum(weights: Tensor, value: Tensor, headWidth: number): Tensor {
  const [batch, numHeads, queries] = weights.shape as [number, number, number, number];
  const keyHeads = value.shape[2]! / headWidth;
  const mixed = matmul(grouped(weights, keyHeads), splitHeads(value, keyHeads));
  return joinHeads(reshape(mixed, [batch, numHeads, queries, headWidth]));
}

/** The heads of each group one after another along the tokens: [batch, heads, tokens, n] -> [batch, groups, heads/groups · tokens, n]. */
function grouped(x: Tensor, groups: number): Tensor {
  const [batch, heads, tokens, n] = x.shape as [number, number, number, number];
  return groups === heads ? x : reshape(x, [batch, groups, (heads / groups) * tokens, n]);
}

/** [batch, tokens, heads · d] -> [batch, heads, tokens, d] */
function splitHeads(x: Tensor, numHeads: number): Tensor {
  const [batch, tokens, width] = x.shape as [number, number, number];
  return transpose(reshape(x, [batch, tokens, numHeads, width / numHeads]), [0, 2, 1, 3]);
}

/** [batch, heads, tokens, d] -> [batch, tokens, heads · d] */
function joinHeads(x: Tensor): Tensor {
  const [batch, heads, tokens, headWidth] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * headWidth]);
}
