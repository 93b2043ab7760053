import type { Initializer, Tensor } from "../tensor/index.ts";
import { add, linear as linearOf, mul, parameter } from "../tensor/index.ts";
import { normal, zeros } from "./initializers.ts";
import { defineModule, type Module } from "./module.ts";

export interface LinearOptions {
  readonly bias?: boolean;
  /** N(0, 0.02²) by default. */
  readonly init?: Initializer | undefined;
}

/** A product of low rank that is added to another one: scale · (x·down)·up. */
export interface LowRankProduct {
  /** [in, rank] */
  readonly down: Tensor;
  /** [rank, out] */
  readonly up: Tensor;
  readonly scale: number;
}

/** A linear map, to which one of low rank can be added: see {@link lowRank}. */
export type Linear = Module<(x: Tensor) => Tensor> & { addLowRank(rank: number, scale: number): void };

/** y = x·W + b over the last axis; W is [in, out]. */
export function linear(inputs: number, outputs: number, { bias = true, init = normal(0.02) }: LinearOptions = {}): Linear {
  const weight = parameter([inputs, outputs], init);
  const offset = bias ? parameter([outputs], zeros) : undefined;
  const parts: { weight: Tensor; bias: Tensor | undefined; lowRank?: { parts: { down: Tensor; up: Tensor } } } = { weight, bias: offset };
  let added: LowRankProduct | undefined;
  const call = (x: Tensor): Tensor => {
    const y = linearOf(x, weight, offset);
    return added === undefined ? y : add(y, mul(linearOf(linearOf(x, added.down), added.up), added.scale));
  };
  const addLowRank = (rank: number, scale: number): void => {
    added = { down: parameter([inputs, rank], normal(1 / Math.sqrt(inputs))), up: parameter([rank, outputs], zeros), scale };
    parts.lowRank = { parts: { down: added.down, up: added.up } };
  };
  return Object.assign(defineModule(parts, call), { addLowRank });
}
