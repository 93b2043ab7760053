import { TrainingError, UsageError } from "../errors.ts";
import type { ParameterValues } from "./caller.ts";
import { checkWeights, predictionValues } from "./checkpoint.ts";
import { freshCourse, isDivergence, judged, mostRestorations, mostSkips, restorationValues } from "./course.ts";
import type { Batch, TrainingMethod, Unit } from "./method.ts";
import { scheduleFor } from "./order.ts";
import type { MetricValue, RunLog } from "./runStore.ts";
import { type Cohort, cohortsOf, openSession, receiveFinished, restoreCohort, saveCohort, type UnitSession } from "./session.ts";
import { averageParameters, sharedState } from "./sharedState.ts";
import type { UnitState } from "./state.ts";
import type { TrainOptions, TrainResult } from "./trainOptions.ts";

/**
 * The one loop: trains the units of any method, resumes each from its newest whole state, logs, saves and evaluates.
 *
 * @throws {TrainingError} if a loss, a gradient or a weight is no number and `onDivergence` is "stop", or does not help; states that
 *   were saved before stay.
 * @throws {UsageError} if units share parameters that are trained on a device that cannot share them.
 * @throws {RunError} if the store refuses to save or log.
 */
export async function train(method: TrainingMethod, options: TrainOptions): Promise<TrainResult> {
  const { store, keepValues = store === undefined } = options;
  const wanted = method.units.filter((unit) => options.units?.includes(unit.name) ?? true);
  const isSequential = scheduleFor(method.order, options.schedule) === "sequential";
  const steps: Record<string, number> = {};
  const done = new Set<string>();
  const finished = new Map<string, Float32Array>();
  for (const units of isSequential ? wanted.map((unit) => [unit]) : [wanted]) {
    const sessions: UnitSession[] = [];
    using shared = sharedState(method, units, options);
    const group: Group = { method, options, sessions, cohorts: [], shared, finished, log: undefined, notes: new Map() };
    try {
      for (const unit of units) sessions.push(await openSession(method, unit, options, shared?.parameters));
      group.cohorts = cohortsOf(method, sessions);
      for (const cohort of group.cohorts) await restoreCohort(cohort);
      await receiveAll(group);
      await openLog(group);
      await trainTogether(group);
      for (const cohort of group.cohorts) {
        for (const session of cohort.sessions) {
          const { unit } = session.trainer;
          steps[unit.name] = session.trainer.steps;
          if (!isDone(cohort, options)) continue;
          done.add(unit.name);
          if (!(keepValues || method.order.kind === "sequential")) continue;
          const values = await finalValues(cohort, session);
          for (const path of [...unit.trainable.keys(), ...unit.frozen.keys()])
            if (!finished.has(path)) finished.set(path, values(path).slice());
        }
      }
    } finally {
      group.log?.close();
      for (const { trainer } of sessions) await trainer.dispose();
    }
    if (options.signal?.aborted) break;
  }
  return {
    finished: wanted.every((unit) => done.has(unit.name)),
    steps,
    values: (path) => finished.get(path) ?? notKept(path),
  };
}

/** Units that are in memory at the same time. */
interface Group {
  readonly method: TrainingMethod;
  readonly options: TrainOptions;
  readonly sessions: readonly UnitSession[];
  cohorts: readonly Cohort[];
  readonly shared: UnitState | undefined;
  /** What finished units have learned. */
  readonly finished: ReadonlyMap<string, Float32Array>;
  log: RunLog | undefined;
  /** Values that are logged with a unit's next step. */
  readonly notes: Map<string, Readonly<Record<string, MetricValue>>>;
}

async function receiveAll({ method, sessions, finished }: Group): Promise<void> {
  if (method.order.kind === "sequential") for (const session of sessions) await receiveFinished(session, finished);
}

/** Opens the log, anew after a restoration: what was written of later steps is dropped. */
async function openLog(group: Group): Promise<void> {
  group.log?.close();
  group.log = undefined;
  const resumeFrom = Object.fromEntries(group.sessions.map(({ trainer }) => [trainer.unit.name, trainer.steps || -1]));
  group.log = await group.options.store?.openLog(resumeFrom);
}

/** Steps of a cohort: of the unit that has made the fewest; one that is ahead waits for the others. */
function stepsOf({ sessions }: Cohort): number {
  return Math.min(...sessions.map(({ trainer }) => trainer.steps));
}

function isDone(cohort: Cohort, { steps, patience = Number.POSITIVE_INFINITY }: TrainOptions): boolean {
  return stepsOf(cohort) >= steps || cohort.course.sinceBest >= patience;
}

function keepsBest({ patience, keepBest }: TrainOptions): boolean {
  return patience !== undefined || keepBest === true;
}

function notKept(path: string): never {
  const message = `The value of ${path} was not kept: its unit is not finished, or train was called with a store and without keepValues: true.`;
  throw new UsageError("valuesNotKept", { path }, message);
}

/** One step of each unit in turn until all have made theirs; a unit that is ahead waits for the others. */
async function trainTogether(group: Group): Promise<void> {
  const { options, cohorts } = group;
  const breathe = eventLoopBreather();
  while (!options.signal?.aborted) {
    const active = cohorts.filter((cohort) => !isDone(cohort, options));
    if (active.length === 0) break;
    const step = Math.min(...active.map(stepsOf));
    for (const cohort of active) if (stepsOf(cohort) === step) await restoringAfterDivergence(group, cohort, () => advance(group, cohort));
    await breathe();
  }
  await finish(group);
}

/** One step of every unit of a cohort, and what is due after it. */
async function advance(group: Group, cohort: Cohort): Promise<void> {
  const { method, options, log } = group;
  const { steps, saveEvery = 200 } = options;
  const { averaging } = method.order;
  const before = stepsOf(cohort);
  const costs: number[] = [];
  let evaluated = false;
  for (const session of cohort.sessions) {
    if (session.trainer.steps !== before) continue;
    const cost = await trainStep(group, cohort, session);
    evaluated ||= session.evaluatedAt === before + 1;
    if (cost !== undefined) costs.push(cost);
  }
  const step = before + 1;
  if (averaging !== undefined && step % averaging.every === 0)
    averageParameters(averaging.groups, new Map(cohort.sessions.flatMap(({ trainer }) => [...trainer.state.parameters])));
  if (evaluated && keepsBest(options)) cohort.course = judged(cohort.course, step, costs);
  if (step === steps) {
    for (const { trainer } of cohort.sessions) await checkWeights(trainer); // while there is a way back
  } else if (log !== undefined && (step % saveEvery === 0 || cohort.course.best?.step === step || isDone(cohort, options)))
    await saveCohort(cohort, log);
}

/** @returns the cost, where the unit was evaluated. */
async function trainStep(group: Group, cohort: Cohort, session: UnitSession): Promise<number | undefined> {
  const { options } = group;
  const { batches, accumulate = 1, logEvery = 10, evaluateEvery = Number.POSITIVE_INFINITY, steps } = options;
  const { trainer } = session;
  const { unit } = trainer;
  const first = trainer.steps * accumulate;
  const list: Batch[] = [];
  for (let i = 0; i < accumulate; i++) list.push(await batches.at(first + i));
  const logged: Record<string, MetricValue> = {};
  try {
    const report = await trainer.step(list, cohort.course.rateScale);
    cohort.course = { ...cohort.course, skipped: 0 };
    options.onStep?.(unit, report);
    const { step, loss, metrics, gradientNorm, learningRate } = report;
    if (step % logEvery === 0 || step === steps) Object.assign(logged, { loss, ...metrics, gradientNorm, learningRate });
  } catch (error) {
    if (options.onDivergence !== "skip" || !isDivergence(error) || cohort.course.skipped >= mostSkips) throw error;
    trainer.skip();
    cohort.course = { ...cohort.course, skipped: cohort.course.skipped + 1 };
    logged.skippedBecause = error.message;
    options.onDiverged?.(unit, `${error.message} This step was left out.`);
  }
  Object.assign(logged, options.notesAt?.(unit.name, trainer.steps), group.notes.get(unit.name));
  group.notes.delete(unit.name);
  let cost: number | undefined;
  if (trainer.steps % evaluateEvery === 0 && trainer.steps < steps) cost = await evaluate(session, options, logged);
  writeLog(group.log, unit, trainer.steps, logged);
  return cost;
}

/** Does what may diverge; if it does and that is wanted, the cohort goes back to its newest saved state at half the learning rate. */
async function restoringAfterDivergence(group: Group, cohort: Cohort, act: () => Promise<void>): Promise<void> {
  const { options, shared } = group;
  try {
    await act();
  } catch (error) {
    if (options.onDivergence !== "restore" || !isDivergence(error)) throw error;
    const { course } = cohort;
    if (cohort.restorations++ >= mostRestorations) throw stillDiverges(error, course.rateScale);
    cohort.course = { ...course, skipped: 0 };
    if (!(await restoreCohort(cohort))) {
      shared?.reset();
      for (const { trainer } of cohort.sessions) await trainer.reset();
      cohort.course = freshCourse;
    }
    cohort.course = { ...cohort.course, rateScale: course.rateScale / 2 };
    await receiveAll(group);
    await openLog(group);
    for (const { trainer } of cohort.sessions) {
      group.notes.set(trainer.unit.name, restorationValues(cohort.course, error));
      const share = `${cohort.course.rateScale} of the learning rate`;
      options.onDiverged?.(trainer.unit, `${error.message} ${trainer.unit.name} goes on from step ${trainer.steps} at ${share}.`);
    }
  }
}

function stillDiverges({ code, data, message }: TrainingError, rateScale: number): TrainingError {
  return new TrainingError(code, data, `${message} So it is at ${rateScale} of the learning rate, after ${mostRestorations} restorations.`);
}

/** After the last steps, or the signal: evaluates what is done, and saves. */
async function finish({ options, cohorts, sessions, log }: Group): Promise<void> {
  const isWhole = cohorts.every((cohort) => isDone(cohort, options));
  if (isWhole) {
    for (const { trainer } of sessions) await trainer.release(); // beside what made the steps an evaluation would be the peak of memory
    for (const cohort of cohorts) await evaluateLast(cohort, options, log);
  }
  for (const cohort of cohorts) {
    if (log !== undefined) await saveCohort(cohort, log).catch((error: unknown) => refuseUnlessRestorable(error, cohort, options));
    if (!isDone(cohort, options)) continue;
    for (const session of cohort.sessions) {
      await session.trainer.download();
      options.onUnitDone?.(session.trainer.unit, await finalValues(cohort, session));
    }
  }
}

/** A state that is not saved at the signal because it has diverged: the resumed run comes there again, and goes back. */
function refuseUnlessRestorable(error: unknown, { sessions }: Cohort, { onDivergence, onDiverged }: TrainOptions): void {
  if (onDivergence !== "restore" || !isDivergence(error)) throw error;
  onDiverged?.(sessions[0]!.trainer.unit, error.message);
}

async function evaluateLast(cohort: Cohort, options: TrainOptions, log: RunLog | undefined): Promise<void> {
  const costs: number[] = [];
  const step = stepsOf(cohort);
  const due = cohort.sessions.filter(({ savedAt, evaluatedAt }) => savedAt !== step && evaluatedAt !== step); // not as it was loaded
  for (const session of due) {
    const logged: Record<string, MetricValue> = {};
    const cost = await evaluate(session, options, logged);
    if (cost !== undefined) costs.push(cost);
    writeLog(log, session.trainer.unit, step, logged);
  }
  if (due.length > 0 && keepsBest(options)) cohort.course = judged(cohort.course, step, costs);
}

/** Evaluates a unit, puts what was measured into `logged`, and returns the cost. */
async function evaluate(session: UnitSession, options: TrainOptions, logged: Record<string, MetricValue>): Promise<number | undefined> {
  const { trainer, values } = session;
  session.evaluatedAt = trainer.steps;
  if (options.evaluate === undefined) return undefined;
  await trainer.download();
  const metrics = await options.evaluate(trainer.unit, values);
  if (Object.keys(metrics).length > 0) options.onEvaluated?.(trainer.unit, trainer.steps, metrics);
  for (const [name, value] of Object.entries(metrics)) logged[`validation/${name}`] = value;
  return options.costOf?.(metrics);
}

/** What a finished unit hands on, as prediction uses it: its best state where the store keeps that, else its last. */
async function finalValues({ course }: Cohort, { trainer, store, values }: UnitSession): Promise<ParameterValues> {
  if (course.best === undefined || course.best.step === trainer.steps) return values;
  const saved = await store?.load("best");
  if (saved === undefined) return values;
  const best = predictionValues(trainer.unit, saved);
  return (path) => best.get(path)!;
}

function writeLog(log: RunLog | undefined, { name }: Unit, step: number, values: Readonly<Record<string, MetricValue>>): void {
  if (Object.keys(values).length > 0) log?.write(name, step, values);
}

/** ONNX Runtime computes without returning to the event loop; every 50 ms signals, timers and progress get their turn. */
function eventLoopBreather(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise<void>((resume) => setTimeout(resume, 0));
    last = performance.now();
  };
}
