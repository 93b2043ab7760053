import type { Tensor, TensorType } from "../tensor/index.ts";
import type { Context } from "./context.ts";
import type { Module } from "./module.ts";
import type { Conditioning } from "./norm.ts";

/** One residual unit: [batch, tokens, width], same out as in. */
export type Layer = Module<(h: Tensor, context: Context) => Tensor>;

/** A network with its parameters: a stem that embeds the input, layers, and a head that reads the answer. */
export interface Network {
  /** The input, and the noisy target where there is one, as the state that the layers work on. */
  readonly stem: Module<(input: Tensor, target: Tensor | undefined, context: Context) => Tensor>;
  readonly layers: readonly Layer[];
  /** The state as logits. `mix` stands between the features and their reading: plain networks pass them through. */
  readonly head: Module<(h: Tensor, context: Context, mix?: (features: Tensor) => Tensor) => Tensor>;
}

/**
 * An architecture with its sizes. `build` makes fresh parameters at every call: once for end-to-end training, once for each block
 * that owns its stem and head.
 */
export interface Architecture {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly numLayers: number;
  /** Width of the state; also of a class embedding that enters as a token. */
  readonly width: number;
  readonly numClasses: number;
  readonly epsilon: number;
  /** The input of a batch of this size. */
  inputType(batchSize: number): TensorType;
  build(conditioning: Conditioning): Network;
}
