import type { Initializer, Tensor } from "../tensor/index.ts";
import { add, parameter, split } from "../tensor/index.ts";
import { type Context, dropout, drops } from "./context.ts";
import { zeros } from "./initializers.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";
import type { Rotation } from "./rotary.ts";
import { everyToken, type View } from "./view.ts";

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
  /** Which tokens see which, unless the context says otherwise; every token sees every token by default. */
  readonly view?: View;
}

/**
 * Multi-head self-attention, softmax(q kᵀ/√(width/heads)) v (Vaswani et al. 2017): [batch, tokens, width], same out as in.
 * Query, key and value are one product, [width, width + 2 · width of the keys] in this order.
 */
export function selfAttention(config: AttentionConfig): Module<(x: Tensor, context: Context) => Tensor> {
  const { width, numHeads, numKeyHeads = numHeads, dropout: rate = 0, init, bias = true, rotation = (x: Tensor) => x } = config;
  const keyWidth = (width / numHeads) * numKeyHeads;
  const parts = {
    qkv: linear(width, width + 2 * keyWidth, { init, bias: bias === true }),
    queryBias: bias === "query and key" ? parameter([width], zeros) : undefined,
    keyBias: bias === "query and key" ? parameter([keyWidth], zeros) : undefined,
    out: linear(width, width, { init: config.outInit ?? init, bias: bias === true }),
  };
  const shifted = (x: Tensor, by: Tensor | undefined): Tensor => (by === undefined ? x : add(x, by));
  return defineModule(parts, (x: Tensor, context: Context) => {
    const view = context.view ?? config.view ?? everyToken;
    const [query, key, value] = split(parts.qkv(x), [width, keyWidth, keyWidth], 2) as [Tensor, Tensor, Tensor];
    const drop = (weights: Tensor): Tensor => dropout(weights, rate, context);
    const turned = { key: rotation(shifted(key, parts.keyBias), view.positions), value };
    context.record?.(turned);
    const asked = rotation(shifted(query, parts.queryBias), view.positions);
    const mixed = view.attend(asked, turned, { numHeads, ...(drops(rate, context) && { change: drop }) });
    return drop(parts.out(mixed));
  });
}
