import type { Initializer, Tensor } from "../tensor/index.ts";
import { add, parameter, split } from "../tensor/index.ts";
import { type AttentionLayer, type AttentionPattern, fullAttention } from "./attentionPattern.ts";
import { type Context, dropout, hasDropout } from "./context.ts";
import { zeros } from "./initializers.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";
import type { Rotation } from "./rotary.ts";

export interface AttentionConfig {
  readonly width: number;
  readonly numHeads: number;
  /** Heads of keys and values, each for a group of query heads (Ainslie et al. 2023); as many as of queries by default. */
  readonly numKeyHeads?: number;
  /** Whether the projections have biases, or only queries and keys. */
  readonly bias?: boolean | "query and key";
  /** On the attention weights and on the output. */
  readonly dropout?: number;
  readonly init?: Initializer | undefined;
  /** Of the output projection, where it differs. */
  readonly outInit?: Initializer | undefined;
  /** Turns queries and keys by their positions: see `rotary`. */
  readonly rotation?: Rotation | undefined;
  /** The attention pattern where the context has no pattern; every token to every token by default. */
  readonly pattern?: AttentionPattern;
}

/**
 * Multi-head self-attention, softmax(q kᵀ/√(width/heads)) v (Vaswani et al. 2017): [batch, tokens, width], same out as in.
 * Query, key and value are one product, [width, width + 2 · width of the keys] in this order.
 */
export function selfAttention(config: AttentionConfig): Module<(x: Tensor, context: Context) => Tensor> & AttentionLayer {
  const { width, numHeads, numKeyHeads = numHeads, dropout: rate = 0, init, bias = true, rotation = (x: Tensor) => x } = config;
  const keyWidth = (width / numHeads) * numKeyHeads;
  const parts = {
    qkv: linear(width, width + 2 * keyWidth, { init, bias: bias === true }),
    queryBias: bias === "query and key" ? parameter([width], zeros) : undefined,
    keyBias: bias === "query and key" ? parameter([keyWidth], zeros) : undefined,
    out: linear(width, width, { init: config.outInit ?? init, bias: bias === true }),
  };
  const shifted = (x: Tensor, by: Tensor | undefined): Tensor => (by === undefined ? x : add(x, by));
  const own = config.pattern ?? fullAttention;
  const call = (x: Tensor, context: Context): Tensor => {
    const pattern = context.patternOf?.(layer, own) ?? own;
    const [query, key, value] = split(parts.qkv(x), [width, keyWidth, keyWidth], 2) as [Tensor, Tensor, Tensor];
    const drop = (weights: Tensor): Tensor => dropout(weights, rate, context);
    const keyValue = { key: rotation(shifted(key, parts.keyBias), pattern.positions), value };
    const rotatedQuery = rotation(shifted(query, parts.queryBias), pattern.positions);
    const mixed = pattern.attend(rotatedQuery, keyValue, { numHeads, ...(hasDropout(rate, context) && { change: drop }) });
    return drop(parts.out(mixed));
  };
  const layer = Object.assign(defineModule(parts, call), { keyWidth });
  return layer;
}
