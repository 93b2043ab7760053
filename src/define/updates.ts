import { isNoisePartition, partitionToJSON } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { adamW, type Optimizer, type Schedule, schedule, sgd } from "../optim/index.ts";
import type { TrainingMethod } from "../train/index.ts";
import { overridden } from "./overrides.ts";
import type { RunConfig } from "./runConfig.ts";

/** The learning rate of a step of a unit. */
export type UnitLearningRate = (step: number, unit?: string) => number;

/**
 * Updates of each unit, and their learning rates. Every unit makes as many as end-to-end training would: equal layer evaluations. Each
 * override of the configuration has a course of its own, which holds from its step on.
 */
export function buildSchedule(
  config: RunConfig,
  stepsPerEpoch: number,
): { readonly steps: number; readonly learningRate: UnitLearningRate } {
  const overrides = config.overrides ?? [];
  const courses = Array.from({ length: overrides.length + 1 }, (_, i) =>
    courseOf(overridden(config, overrides.slice(0, i)), stepsPerEpoch),
  );
  const learningRate: UnitLearningRate = (step, unit = "") => {
    const last = overrides.findLastIndex(({ from }) => (from[unit] ?? 0) <= step);
    return courses[last + 1]!.learningRate(step);
  };
  return { steps: courses.at(-1)!.steps, learningRate };
}

function courseOf({ training }: RunConfig, stepsPerEpoch: number): { readonly steps: number; readonly learningRate: Schedule } {
  const { epochs, maxSteps = Number.POSITIVE_INFINITY, accumulate, schedule: kind, learningRate, warmup, floor } = training;
  const steps = Math.min(maxSteps, Math.floor((epochs * stepsPerEpoch) / accumulate));
  if (steps < 1) {
    const message = `--epochs ${epochs} with --accumulate ${accumulate}: ${stepsPerEpoch} batches an epoch are less than one update. Train longer, or accumulate less.`;
    throw new UsageError("noUpdate", { epochs, accumulate, stepsPerEpoch }, message);
  }
  return { steps, learningRate: schedule({ kind, learningRate, warmupSteps: Math.round(warmup * steps), totalSteps: steps, floor }) };
}

/** The optimiser that a configuration names. */
export function buildOptimizer({ training: { optimizer, weightDecay } }: RunConfig): Optimizer {
  return { adamW, sgd }[optimizer]({ weightDecay });
}

/** Steps between two evaluations of a unit; they are counted in epochs, of which every update takes `accumulate` batches. */
export function evaluationInterval(
  { execution: { evaluateEvery, evaluateSteps }, training: { accumulate } }: RunConfig,
  stepsPerEpoch: number,
): number {
  if (evaluateSteps !== undefined) return evaluateSteps;
  if (evaluateEvery === 0) return Number.POSITIVE_INFINITY;
  return Math.max(1, Math.round(evaluateEvery * Math.max(1, Math.floor(stepsPerEpoch / accumulate))));
}

/** The noise ranges and the layers of each block, for methods that have some. */
export function partitionFile(method: TrainingMethod): object | undefined {
  const { partition, layersPerBlock } = method;
  if (partition === undefined) return undefined;
  const { ranges, trainingRanges } = partition;
  return { ...(isNoisePartition(partition) ? partitionToJSON(partition) : partition), ranges, trainingRanges, layersPerBlock };
}
