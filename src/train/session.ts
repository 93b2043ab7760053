import type { ParameterValues } from "./caller.ts";
import { restoreUnit, saveUnit } from "./checkpoint.ts";
import type { TrainingMethod, Unit } from "./method.ts";
import type { UnitOrder } from "./order.ts";
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
  /** The step of the state that was loaded or saved last. */
  savedAt: number | undefined;
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
    return { trainer, values: (path) => trainer.state.predictionValue(path), store, savedAt: undefined };
  } catch (error) {
    await trainer.dispose();
    throw error;
  }
}

/**
 * Resumes each unit from its newest whole state; units that depend on each other from the newest step that all of them have, or from the
 * start.
 *
 * @throws {RunError} if one of them has no state of that step.
 */
export async function restoreSessions({ kind }: UnitOrder, sessions: readonly UnitSession[]): Promise<void> {
  const mustAgree = sessions.length > 1 && kind !== "independent";
  let agreed = Number.POSITIVE_INFINITY;
  if (mustAgree) for (const { store } of sessions) agreed = Math.min(agreed, (await store?.load())?.step ?? -1);
  if (agreed < 0) return;
  for (const session of sessions) {
    const saved = await (mustAgree ? session.store!.load(agreed) : session.store?.load());
    if (saved === undefined) continue;
    await restoreUnit(session.trainer, saved);
    session.savedAt = saved.step;
  }
}

/** Saves a unit, once for each step. The log is made durable first, so that no state is newer than its log. */
export async function saveSession(session: UnitSession, log: RunLog): Promise<void> {
  const { trainer, store } = session;
  if (session.savedAt === trainer.steps) return;
  log.sync();
  await saveUnit(store!, trainer);
  session.savedAt = trainer.steps;
}

/** Gives a unit that reads finished units what they have learned. */
export async function receiveFinished({ trainer }: UnitSession, finished: ReadonlyMap<string, Float32Array>): Promise<void> {
  const paths = [...trainer.unit.frozen.keys()].filter((path) => finished.has(path));
  if (paths.length === 0) return;
  for (const path of paths) trainer.state.parameters.get(path)!.value.set(finished.get(path)!);
  await trainer.resume(trainer.steps);
}
