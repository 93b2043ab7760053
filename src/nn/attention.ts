import type { Initializer, Tensor } from "../tensor/index.ts";
import { matmul, reshape, softmax, split, transpose } from "../tensor/index.ts";
import { type Context, dropout } from "./context.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";

export interface AttentionConfig {
  readonly width: number;
  readonly numHeads: number;
  /** On the attention weights and on the output. */
  readonly dropout?: number;
  readonly init?: Initializer | undefined;
}

/**
 * Multi-head self-attention without a mask, softmax(q kᵀ/√(width/heads)) v (Vaswani et al. 2017): [batch, tokens, width], same out as in.
 * Query, key and value are one product, [width, 3·width] in this order.
 */
export function selfAttention({
  width,
  numHeads,
  dropout: rate = 0,
  init,
}: AttentionConfig): Module<(x: Tensor, context: Context) => Tensor> {
  const headWidth = width / numHeads;
  const parts = { qkv: linear(width, 3 * width, { init }), out: linear(width, width, { init }) };
  return defineModule(parts, (x: Tensor, context: Context) => {
    const [batch, tokens] = x.shape as [number, number, number];
    const heads = (part: Tensor): Tensor => transpose(reshape(part, [batch, tokens, numHeads, headWidth]), [0, 2, 1, 3]); // [batch, heads, tokens, headWidth]
    const [query, key, value] = split(parts.qkv(x), [width, width, width], 2).map(heads) as [Tensor, Tensor, Tensor];
    const weights = softmax(matmul(query, key, { transB: true, alpha: 1 / Math.sqrt(headWidth) })); // [batch, heads, query, key]
    const mixed = matmul(dropout(weights, rate, context), value);
    const joined = reshape(transpose(mixed, [0, 2, 1, 3]), [batch, tokens, width]);
    return dropout(parts.out(joined), rate, context);
  });
}
