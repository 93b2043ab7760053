import type { Initializer, Tensor } from "../tensor/index.ts";
import { mul, silu, split } from "../tensor/index.ts";
import { type Context, dropout } from "./context.ts";
import { linear } from "./linear.ts";
import type { MlpConfig } from "./mlp.ts";
import { defineModule, type Module } from "./module.ts";

export interface SwigluConfig extends Pick<MlpConfig, "width" | "hidden" | "dropout" | "bias"> {
  readonly init?: Initializer | undefined;
  /** Of the second product, where it differs. */
  readonly outInit?: Initializer | undefined;
}

/** (SiLU(x W1) ⊙ x W3) W2, without biases by default (Shazeer 2020): [..., width] -> [..., width]. W1 and W3 are one product, in this order. */
export function swiglu({
  width,
  hidden,
  dropout: rate = 0,
  bias = false,
  init,
  outInit = init,
}: SwigluConfig): Module<(x: Tensor, context: Context) => Tensor> {
  const parts = { up: linear(width, 2 * hidden, { init, bias }), down: linear(hidden, width, { init: outInit, bias }) };
  return defineModule(parts, (x: Tensor, context: Context) => {
    const [gate, values] = split(parts.up(x), [hidden, hidden], x.rank - 1) as [Tensor, Tensor];
    return dropout(parts.down(mul(silu(gate), values)), rate, context);
  });
}
