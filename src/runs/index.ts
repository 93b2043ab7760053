/** Runs on disk: what a command does beyond reading its options. */
export { type Load, loadData, registerLoader } from "./data.ts";
export { evaluateGeneration, type GenerationOptions, type GenerationQuality } from "./evaluateGeneration.ts";
export {
  type ExportRunOptions,
  exportRunAsOnnx,
  exportRunAsSafetensors,
  exportRunForTraining,
  type WrittenFile,
} from "./exportRun.ts";
export { type StartFinetuningOptions, startFinetuning } from "./finetune.ts";
export { type ImageFid, type ImageFidOptions, imageFid, readFeatures } from "./imageFid.ts";
export { type ImageWriter, imageWriter, type SampleShape } from "./imageFiles.ts";
export { type ImportedRun, type ImportRunOptions, importRun } from "./importRun.ts";
export { describeLaunch, type LaunchOptions, type LaunchScripts, launch } from "./launch.ts";
export { type LoadRunOptions, loadRun, type TrainedModelOptions, trainedModelOf } from "./loadRun.ts";
export { type LossByNoise, lossByNoise } from "./lossByNoise.ts";
export { type MergedRun, type MergedUnit, type MergeOptions, mergeRuns } from "./mergeRuns.ts";
export { checkApart, type TrainUnitsInProcessesOptions, trainUnitsInProcesses } from "./parallel.ts";
export { type DescribedRun, describeRun, type PreparedRun, type PrepareOptions, prepareRun } from "./prepare.ts";
export { configSection, curve, type RunReport, runReport, trainingCurves } from "./report.ts";
export { readRunConfig } from "./runConfigFile.ts";
export { runStatus, type UnitState, type UnitStatus } from "./runStatus.ts";
export {
  type DeviceChoice,
  deviceOf,
  type EvaluateRunOptions,
  evaluateRun,
  evaluationData,
  loadParameters,
  openTrainedRun,
  type TrainedRun,
} from "./trainedRun.ts";
export { type RunListener, type TrainingCost, type TrainRunOptions, type TrainRunResult, trainRun } from "./trainRun.ts";
export { unitNamed } from "./units.ts";
