import { TrainingError, UsageError } from "../errors.ts";
import type { MetricValue } from "./runStore.ts";

/**
 * What is decided while units train, besides their parameters: it is saved with them, so that a resumed run decides as one that was
 * never stopped.
 */
export interface Course {
  /** Factor on the learning rate: halved whenever training diverged and was taken back. */
  readonly rateScale: number;
  /** Steps in a row that were left out, their loss or gradient being no number. */
  readonly skipped: number;
  /** The evaluation with the lowest cost so far. */
  readonly best?: { readonly step: number; readonly cost: number } | undefined;
  /** Evaluations since the best one. */
  readonly sinceBest: number;
}

export const freshCourse: Course = Object.freeze({ rateScale: 1, skipped: 0, sinceBest: 0 });

/** A course as metadata of a saved state: none for a fresh one. */
export function courseToMetadata(course: Course): Record<string, string> {
  const text = JSON.stringify(course);
  return text === JSON.stringify(freshCourse) ? {} : { course: text };
}

export function courseFromMetadata({ course }: Readonly<Record<string, string>>): Course {
  return course === undefined ? freshCourse : (JSON.parse(course) as Course);
}

/**
 * The course after an evaluation.
 *
 * @param costs lower is better; one for each unit that can be measured alone. They count by their mean.
 * @throws {UsageError} `noCost` if there are none.
 */
export function judged(course: Course, step: number, costs: readonly number[]): Course {
  if (costs.length === 0) {
    const message =
      "Early stopping and the best checkpoint need a measure of a unit alone, and none of these has one. Leave --patience and --keep-best out.";
    throw new UsageError("noCost", {}, message);
  }
  const cost = costs.reduce((sum, one) => sum + one, 0) / costs.length;
  const isBest = course.best === undefined || cost < course.best.cost;
  return isBest ? { ...course, best: { step, cost }, sinceBest: 0 } : { ...course, sinceBest: course.sinceBest + 1 };
}

/** What training does where a loss, a gradient or a weight is no number: end, leave the step out, or go back to the last saved state. */
export type OnDivergence = "stop" | "skip" | "restore";

/** Steps in a row that are left out, and restorations without a new saved state, before training ends all the same. */
export const mostSkips = 100;
export const mostRestorations = 40;

/** Whether an error says that training has diverged. */
export function isDivergence(error: unknown): error is TrainingError {
  return error instanceof TrainingError && ["notFinite", "absurdWeights"].includes(error.code);
}

/** What is logged of a restoration, beside the first step after it. */
export function restorationValues({ rateScale }: Course, { message }: TrainingError): Record<string, MetricValue> {
  return { restoredBecause: message, rateScale };
}
