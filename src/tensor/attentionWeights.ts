import { ancestors } from "./grad.ts";
import { attentionWeightsOf } from "./ops/index.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The weights [batch, heads, queries, keys] of every attention that values are made of, from the first layer to the last: of each query,
 * the share of each key, with the sum 1. They are symbols of the same graph, so a program can have them as further outputs.
 */
export function attentionWeights(values: readonly Tensor[]): readonly Tensor[] {
  return ancestors(values).flatMap((node) => attentionWeightsOf(node) ?? []);
}
