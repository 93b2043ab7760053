/** The public door of diffusion-blocks: re-exports only. Data sets are in "diffusion-blocks/data", architectures in "diffusion-blocks/models". */
export * from "./baselines/index.ts";
export * from "./blocks/index.ts";
export * from "./diffusion/index.ts";
export * from "./errors.ts";
export * from "./eval/index.ts";
export * from "./experiments/index.ts";
export {
  type BlocksPlan,
  type BudgetFit,
  fitBudget,
  type MemoryPlan,
  type PlanOptions,
  type PlanReport,
  planReport,
  planUnit,
} from "./measure/index.ts";
export * from "./nn/index.ts";
export { decodeModel, encodeModel, type OnnxGraph, type OnnxModel } from "./onnx/index.ts";
export * from "./optim/index.ts";
export { fold, type Key, key } from "./random.ts";
export { CheckpointStore, exitCodes, openRun, type RunFolder } from "./run/index.ts";
export { availableBackends, type Device, openDevice } from "./runtime/index.ts";
export * as tensor from "./tensor/index.ts";
export * from "./train/index.ts";
export { type Check, type ReferenceComparison, referenceTolerance, verifyReferenceFile, verifyRun } from "./verify/index.ts";
