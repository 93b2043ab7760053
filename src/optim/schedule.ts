import { UsageError } from "../errors.ts";

/** The learning rate at each step, counted from 0. */
export type Schedule = (step: number) => number;

export interface ScheduleConfig {
  readonly kind: "constant" | "cosine" | "linear";
  readonly learningRate: number;
  /** Steps of linear warm-up from 0, before the rest. */
  readonly warmupSteps: number;
  /** Steps in all; after them the rate stays at its last value. */
  readonly totalSteps: number;
  /** The rate at the end, as a share of `learningRate`. */
  readonly floor: number;
}

/**
 * Warm-up, rate · (step + 1)/warmup, and then one of: constant; cosine, floor + (1 − floor)·½(1 + cos πp); linear, 1 − (1 − floor)·p;
 * where p runs from 0 to 1 over the steps after the warm-up.
 *
 * @throws {UsageError} if a number is out of range.
 */
export function schedule({ kind, learningRate, warmupSteps, totalSteps, floor }: ScheduleConfig): Schedule {
  if (!(learningRate > 0))
    throw new UsageError("learningRate", { learningRate }, `schedule: the learning rate must be above 0, got ${learningRate}.`);
  if (!(floor >= 0 && floor <= 1)) throw new UsageError("floor", { floor }, `schedule: the floor is a share from 0 to 1, got ${floor}.`);
  const shape = (progress: number): number => {
    if (kind === "constant") return 1;
    if (kind === "linear") return 1 - (1 - floor) * progress;
    return floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const rest = Math.max(1, totalSteps - warmupSteps);
    return learningRate * shape(Math.min(1, (step - warmupSteps) / rest));
  };
}
