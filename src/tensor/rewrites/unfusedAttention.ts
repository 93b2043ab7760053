import { plainAttention } from "../ops/index.ts";
import type { Rewrite } from "../program.ts";

/** ONNX Runtime's own MultiHeadAttention by operators of the ONNX standard. */
export const unfusedAttention: Rewrite = (node, inputs) => {
  if (node.operator.name !== "attention") return undefined;
  const [query, key, value] = inputs;
  return [plainAttention(query!, key!, value!, node.attributes as { numHeads: number; alpha: number })];
};
