/** Trained networks for other software, and networks that other software trained. */
export { type ExportOnnxOptions, exportOnnx, type OnnxFile } from "./exportOnnx.ts";
export { type ExportTrainingOptions, exportTraining, type TrainingFile } from "./exportTraining.ts";
export {
  type ImportedNetwork,
  type ImportNetworkOptions,
  importedState,
  importNetwork,
  type NetworkFiles,
} from "./importNetwork.ts";
export { layoutOf } from "./layouts/index.ts";
export type { Layout, PublishedConfig, PublishedNetwork } from "./layouts/layout.ts";
export { type PublishedTensor, PublishedWeights } from "./publishedWeights.ts";
export type { RunContent } from "./runContent.ts";
export {
  type NamedBytes,
  onnxMetadata,
  type Producer,
  type SafetensorsOptions,
  safetensorsFiles,
} from "./runFiles.ts";
export { takenOver } from "./takeOver.ts";
