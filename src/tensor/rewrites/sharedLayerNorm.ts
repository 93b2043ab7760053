import { add, layerNormParts, mul } from "../ops/index.ts";
import type { Rewrite } from "../program.ts";

/** The WebGPU kernel of LayerNormalization takes one gain and bias for all items: those that differ are applied by nodes of their own. */
export const sharedLayerNorm: Rewrite = (node, [x, gain, bias]) => {
  if (node.operator.name !== "layerNorm" || gain!.rank === 1) return undefined;
  const [normed, ...statistics] = layerNormParts(x!, node.attributes as { epsilon: number });
  return [add(mul(normed!, gain!), bias!), ...statistics];
};
