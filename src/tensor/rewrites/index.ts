import type { Rewrite } from "../program.ts";
import { unfusedMatmul } from "./unfusedMatmul.ts";

/** What a device needs written in another way than the CPU. */
export function rewritesFor(deviceName: string): readonly Rewrite[] {
  return deviceName === "webgpu" ? [unfusedMatmul] : [];
}
