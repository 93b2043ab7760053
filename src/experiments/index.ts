/** Whole runs: what a command does beyond reading its options. */
export * from "./build.ts";
export * from "./compare.ts";
export * from "./crossEntropy.ts";
export { type DataShape, dataShapeOf } from "./dataShape.ts";
export * from "./demo.ts";
export * from "./evaluate.ts";
export * from "./evaluateImages.ts";
export * from "./parallel.ts";
export * from "./prepare.ts";
export * from "./presets.ts";
export * from "./recipes.ts";
export { accuracyText, type RunReport, runReport } from "./report.ts";
export * from "./runConfig.ts";
export * from "./sampleRun.ts";
export * from "./trainedRun.ts";
export * from "./trainRun.ts";
export { unitNamed } from "./units.ts";
