export { equalLoss, equiProbability, type LevelLoss, uniformLogSigma, uniformSigma } from "./boundaries.ts";
export { likeliest, negativeLogSoftmax, softmaxOf } from "./categorical.ts";
export { ddpmLogSigmas, ddpmTime } from "./ddpm.ts";
export { denoisedEstimate, type EstimateKind, estimateKinds } from "./denoisedEstimate.ts";
export {
  antitheticTimes,
  blockOfTime,
  keptShare,
  type MaskingPartition,
  type MaskingSchedule,
  maskingEpsilon,
  maskingPartition,
  maskingWeight,
  reconstructionNats,
  type TimeRange,
} from "./masking.ts";
export {
  classNoise,
  cumulative,
  edmNoise,
  type LogNormalNoise,
  logNormalNoise,
  type SampleSigmasOptions,
  type SigmaRange,
  sampleSigmas,
  sigmaQuantile,
} from "./noise.ts";
export { normalCdf, normalQuantile } from "./normalQuantile.ts";
export {
  blockOfSigma,
  isNoisePartition,
  type Partition,
  type PartitionFromBoundariesOptions,
  type PartitionJSON,
  type PartitionOptions,
  type PartitionStrategy,
  partition,
  partitionFromBoundaries,
  partitionFromJSON,
  partitionStrategies,
  partitionToJSON,
} from "./partition.ts";
export {
  levelNames,
  levelsAt,
  levelsOf,
  type NoiseLevels,
  type Preconditioning,
  type PreconditioningKind,
  precondition,
  preconditionBatch,
  preconditioningKinds,
  type Scaling,
} from "./preconditioning.ts";
export * from "./samplers/index.ts";
export {
  entryLevel,
  equiProbabilityGrid,
  karrasGrid,
  type MaskingGrid,
  maskingTimes,
  type SigmaGrid,
  samplingLevels,
} from "./schedule.ts";
