import type { Rewrite } from "../program.ts";
import { unfusedMatmul } from "./unfusedMatmul.ts";

/** Graph rewrites of devices that need another lowering than the CPU. */
export function rewritesFor(deviceName: string): readonly Rewrite[] {
  return deviceName === "webgpu" ? [unfusedMatmul] : [];
}
