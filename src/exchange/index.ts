/** Trained networks for other software, and networks that other software trained. */
export { type ExportOnnxOptions, exportOnnx, type OnnxFile } from "./exportOnnx.ts";
export { type ExportTrainingOptions, exportTraining, type TrainingFile } from "./exportTraining.ts";
export { type Layout, layoutOf, type PublishedConfig, type PublishedNetwork } from "./layouts.ts";
export { type PublishedTensor, PublishedWeights } from "./publishedWeights.ts";
export { takenOver } from "./takeOver.ts";
