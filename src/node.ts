/** The second door of diffusion-blocks, for Node: run folders, data from disk, processes, comparisons, proofs. */

export {
  findPytorch,
  type KubernetesRun,
  kubernetesJob,
  type PytorchProcess,
  type SlurmJobs,
  type SlurmResources,
  shellCommand,
  startPytorch,
} from "./cluster/index.ts";
export { parseStrictJson } from "./formats/index.ts";
export {
  benchCases,
  benchMethod,
  benchStepper,
  median,
  readProfile,
  type StepProfile,
  sgemmPeak,
  stepFlops,
  traceStepRuns,
} from "./measure/index.ts";
export { type Cell, type Column, renderReport, renderTable } from "./report/index.ts";
export {
  bestCheckpoint,
  type CheckpointEntry,
  CheckpointStore,
  type Difference,
  differences,
  exitCodeOf,
  exitCodes,
  folderStore,
  type KeepRule,
  keepBest,
  keepEvery,
  openRun,
  RunFolder,
} from "./run/index.ts";
export * from "./runs/index.ts";
export { availableBytes, cpuCount } from "./runtime/node.ts";
export {
  addImageFormat,
  type DataInfo,
  dataInfo,
  decodeImageFile,
  type FormatSource,
  getPublished,
  type ImageFormat,
  loadImages,
  loadText,
  publishedDataset,
  publishedDatasets,
  publishedFolder,
} from "./sources/index.ts";
export * from "./studies/index.ts";
export { type LiveRun, type LiveRunDetails, LiveRuns, type ServeOptions, type StudioServer, serveStudio } from "./studio/index.ts";
export { type Check, type ReferenceComparison, referenceTolerance, verifyReferenceFile, verifyRun } from "./verify/index.ts";
