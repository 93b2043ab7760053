export * from "./adamW.ts";
export { type Arena, allocateArena, type Kernels, referenceKernels } from "./kernels/index.ts";
export * from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./sgd.ts";
