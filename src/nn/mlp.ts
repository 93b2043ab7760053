import type { Initializer, Tensor } from "../tensor/index.ts";
import { gelu } from "../tensor/index.ts";
import { type Context, dropout } from "./context.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";

export interface MlpConfig {
  readonly width: number;
  readonly hidden: number;
  readonly dropout?: number;
  readonly activation?: (x: Tensor) => Tensor;
  readonly bias?: boolean;
  readonly init?: Initializer | undefined;
}

/** Linear, activation (exact GELU), linear, dropout: [..., width] -> [..., width]. */
export function mlp({
  width,
  hidden,
  dropout: rate = 0,
  activation = gelu,
  bias = true,
  init,
}: MlpConfig): Module<(x: Tensor, context: Context) => Tensor> {
  const parts = { up: linear(width, hidden, { init, bias }), down: linear(hidden, width, { init, bias }) };
  return defineModule(parts, (x: Tensor, context: Context) => dropout(parts.down(activation(parts.up(x))), rate, context));
}
