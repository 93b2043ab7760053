import type { Initializer, Tensor } from "../tensor/index.ts";
import { attention, split } from "../tensor/index.ts";
import { type Context, dropout, drops } from "./context.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";

export interface AttentionConfig {
  readonly width: number;
  readonly numHeads: number;
  /** On the attention weights and on the output. */
  readonly dropout?: number;
  readonly init?: Initializer | undefined;
  /** Turns queries and keys by their positions: see `rotary`. */
  readonly positions?: ((x: Tensor) => Tensor) | undefined;
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
  positions = (x) => x,
}: AttentionConfig): Module<(x: Tensor, context: Context) => Tensor> {
  const parts = { qkv: linear(width, 3 * width, { init }), out: linear(width, width, { init }) };
  return defineModule(parts, (x: Tensor, context: Context) => {
    const [query, key, value] = split(parts.qkv(x), [width, width, width], 2) as [Tensor, Tensor, Tensor];
    const drop = (weights: Tensor): Tensor => dropout(weights, rate, context);
    const mixed = attention(positions(query), positions(key), value, { numHeads, ...(drops(rate, context) && { change: drop }) });
    return drop(parts.out(mixed));
  });
}
