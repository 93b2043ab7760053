import { plainMatmul } from "../ops/index.ts";
import type { Rewrite } from "../program.ts";

/** FusedMatMul has no WebGPU kernel (it would run on the CPU, with copies both ways): transpositions and factor become nodes. */
export const unfusedMatmul: Rewrite = (node, inputs) => {
  if (node.operator.name !== "matmul") return undefined;
  const options = node.attributes as { transA: boolean; transB: boolean; alpha: number };
  return options.transA || options.transB || options.alpha !== 1 ? [plainMatmul(inputs[0]!, inputs[1]!, options)] : undefined;
};
