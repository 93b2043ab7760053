export { type AdamWStep, hasWasmKernels, type Kernels, type SgdStep, wasmKernels } from "./kernels.ts";
export { type Arena, allocateArena, drainArenaPool } from "./memory.ts";
export { referenceKernels } from "./reference.ts";
