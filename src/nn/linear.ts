import type { Initializer, Tensor } from "../tensor/index.ts";
import { linear as linearOf, parameter } from "../tensor/index.ts";
import { normal, zeros } from "./initializers.ts";
import { defineModule, type Module } from "./module.ts";

export interface LinearOptions {
  readonly bias?: boolean;
  /** N(0, 0.02²) by default. */
  readonly init?: Initializer | undefined;
}

/** y = x·W + b over the last axis; W is [in, out]. */
export function linear(
  inputs: number,
  outputs: number,
  { bias = true, init = normal(0.02) }: LinearOptions = {},
): Module<(x: Tensor) => Tensor> {
  const weight = parameter([inputs, outputs], init);
  const offset = bias ? parameter([outputs], zeros) : undefined;
  return defineModule({ weight, bias: offset }, (x: Tensor) => linearOf(x, weight, offset));
}
