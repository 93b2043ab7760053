import type { Rewrite } from "../program.ts";
import { inAnyOrder } from "./inAnyOrder.ts";
import { unfusedAttention } from "./unfusedAttention.ts";
import { unfusedMatmul } from "./unfusedMatmul.ts";

/** Graph rewrites of devices that need another lowering than the CPU. */
export function rewritesFor(deviceName: string): readonly Rewrite[] {
  return deviceName === "webgpu" ? [unfusedMatmul, inAnyOrder] : [];
}

/** Leaves operators of the ONNX standard alone, so that any reader of ONNX runs the program. */
export const standardOperators: readonly Rewrite[] = [unfusedMatmul, unfusedAttention];
