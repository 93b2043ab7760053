/**
 * The first door of diffusion-blocks: networks, methods, training and inference. Runs, processes and studies are in
 * "diffusion-blocks/node".
 */
export * from "./baselines/index.ts";
export * from "./blocks/index.ts";
export * from "./data/index.ts";
export * from "./define/index.ts";
export * from "./diffusion/index.ts";
export * from "./errors.ts";
export * from "./eval/index.ts";
export * from "./inference/index.ts";
export {
  type BlocksPlan,
  type BudgetFit,
  fitBudget,
  type MemoryPlan,
  type PlanOptions,
  type PlanReport,
  planReport,
  planUnit,
  planUnits,
} from "./measure/index.ts";
export * from "./models/index.ts";
export * from "./nn/index.ts";
export { decodeModel, encodeModel, type OnnxGraph, type OnnxModel } from "./onnx/index.ts";
export * from "./optim/index.ts";
export { fold, type Key, key } from "./random.ts";
export { registry } from "./registry/index.ts";
export { availableBackends, type Device, openDevice } from "./runtime/index.ts";
export { classes, imageDataOptions, images, text } from "./tasks/index.ts";
export * as tensor from "./tensor/index.ts";
export * from "./train/index.ts";
