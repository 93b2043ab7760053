export { equalLoss, equiProbability, type LevelLoss, uniformLogSigma, uniformSigma } from "./boundaries.ts";
export {
  blockOfTime,
  keptShare,
  type MaskingPartition,
  type MaskingSchedule,
  maskingEpsilon,
  maskingPartition,
  maskingWeight,
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
  partitionToJSON,
} from "./partition.ts";
export { type Preconditioning, precondition, preconditionBatch } from "./preconditioning.ts";
export { type EulerStepInput, eulerStep } from "./samplers/euler.ts";
export { type Churn, type Denoise, type Sampler, type SampleStep, type SampleWalk, sample, samplers } from "./samplers/sample.ts";
export { equiProbabilityGrid, karrasGrid } from "./schedule.ts";
