import type { ParameterValues } from "./caller.ts";
import { checkWeights, restoreUnit, saveUnit } from "./checkpoint.ts";
import { type Course, courseFromMetadata, courseToMetadata, freshCourse } from "./course.ts";
import type { TrainingMethod, Unit } from "./method.ts";
import type { RunLog, UnitStore } from "./runStore.ts";
import type { ParameterState } from "./state.ts";
import { createTrainer, type Trainer } from "./trainer.ts";
import type { TrainOptions } from "./trainOptions.ts";

/** A unit in training, and where its states are kept. */
export interface UnitSession {
  readonly trainer: Trainer;
  /** The unit's parameters as prediction uses them. */
  readonly values: ParameterValues;
  readonly store: UnitStore | undefined;
  /** The step of the state that was loaded or saved last, and of the last evaluation. */
  savedAt: number | undefined;
  evaluatedAt: number | undefined;
}

/** Units that depend on each other: they are saved, restored and stopped together. A unit that depends on none is alone. */
export interface Cohort {
  readonly sessions: readonly UnitSession[];
  course: Course;
  /** Restorations since the last state was saved. */
  restorations: number;
}

/** @param shared parameters that other units hold too. */
export async function openSession(
  method: TrainingMethod,
  unit: Unit,
  options: TrainOptions,
  shared: ReadonlyMap<string, ParameterState> | undefined,
): Promise<UnitSession> {
  const trainer = await createTrainer(method, { ...options, unit, ...(shared && { shared }) });
  try {
    const store = await options.store?.openUnit(unit.name);
    const values: ParameterValues = (path) => trainer.state.predictionValue(path);
    return { trainer, values, store, savedAt: undefined, evaluatedAt: undefined };
  } catch (error) {
    await trainer.dispose();
    throw error;
  }
}

/** Sessions by their dependence on each other. */
export function cohortsOf({ order: { kind } }: TrainingMethod, sessions: readonly UnitSession[]): readonly Cohort[] {
  const groups = kind === "independent" ? sessions.map((session) => [session]) : [sessions];
  return groups.map((group) => ({ sessions: group, course: freshCourse, restorations: 0 }));
}

/**
 * Resumes a unit from its newest whole state; units that depend on each other from the newest step that all of them have. Without such a
 * state they are as they were.
 *
 * @returns whether there was one.
 * @throws {RunError} if one of them has no state of that step.
 */
export async function restoreCohort(cohort: Cohort): Promise<boolean> {
  const { sessions } = cohort;
  let agreed: number | undefined;
  if (sessions.length > 1) {
    const newest: number[] = [];
    for (const { store } of sessions) newest.push((await store?.load())?.step ?? -1);
    agreed = Math.min(...newest);
    if (agreed < 0) return false; // a state of step 0 is one: a network that was trained elsewhere
  }
  for (const session of sessions) {
    const saved = await session.store?.load(agreed);
    if (saved === undefined) return false;
    await restoreUnit(session.trainer, saved);
    session.savedAt = saved.step;
    cohort.course = courseFromMetadata(saved.metadata);
  }
  return true;
}

/** Saves units, once for each step. The log is made durable first, so that no state is newer than its log. */
export async function saveCohort(cohort: Cohort, log: RunLog): Promise<void> {
  if (cohort.sessions.length > 1) for (const { trainer } of cohort.sessions) await checkWeights(trainer); // all of them, or none
  for (const session of cohort.sessions) {
    const { trainer, store } = session;
    if (session.savedAt === trainer.steps) continue;
    log.sync();
    await saveUnit(store!, trainer, {
      metadata: courseToMetadata(cohort.course),
      isBest: cohort.course.best?.step === trainer.steps,
    });
    session.savedAt = trainer.steps;
    cohort.restorations = 0;
  }
}

/** Gives a unit that reads finished units what they have learned. */
export async function receiveFinished({ trainer }: UnitSession, finished: ReadonlyMap<string, Float32Array>): Promise<void> {
  const paths = [...trainer.unit.frozen.keys()].filter((path) => finished.has(path));
  if (paths.length === 0) return;
  for (const path of paths) trainer.state.parameters.get(path)!.value.set(finished.get(path)!);
  await trainer.resume(trainer.steps);
}
