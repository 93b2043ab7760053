import { UsageError } from "../errors.ts";
import type { Batch, TrainingMethod, Unit } from "./method.ts";
import { scheduleFor } from "./order.ts";
import type { MetricValue, RunLog } from "./runStore.ts";
import { openSession, receiveFinished, restoreSessions, saveSession, type UnitSession } from "./session.ts";
import { averageParameters, sharedState } from "./sharedState.ts";
import type { TrainOptions, TrainResult } from "./trainOptions.ts";

/**
 * The one loop: trains the units of any method, resumes each from its newest whole state, logs, saves and evaluates.
 *
 * @throws {TrainingError} if a loss or a gradient is not finite; states that were saved before stay.
 * @throws {UsageError} if units share parameters that are trained on a device that cannot share them.
 * @throws {RunError} if the store refuses to save or log.
 */
export async function train(method: TrainingMethod, options: TrainOptions): Promise<TrainResult> {
  const { store, keepValues = store === undefined } = options;
  const wanted = method.units.filter((unit) => options.units?.includes(unit.name) ?? true);
  const isSequential = scheduleFor(method.order, options.schedule) === "sequential";
  const steps: Record<string, number> = {};
  const finished = new Map<string, Float32Array>();
  for (const group of isSequential ? wanted.map((unit) => [unit]) : [wanted]) {
    const sessions: UnitSession[] = [];
    let log: RunLog | undefined;
    using shared = sharedState(method, group, options);
    try {
      for (const unit of group) sessions.push(await openSession(method, unit, options, shared?.parameters));
      await restoreSessions(method.order, sessions);
      if (method.order.kind === "sequential") for (const session of sessions) await receiveFinished(session, finished);
      log = await store?.openLog(Object.fromEntries(sessions.map(({ trainer }) => [trainer.unit.name, trainer.steps || -1])));
      await trainTogether(method, sessions, options, log);
      for (const { trainer, values } of sessions) {
        steps[trainer.unit.name] = trainer.steps;
        if (trainer.steps < options.steps || !(keepValues || method.order.kind === "sequential")) continue;
        for (const path of [...trainer.unit.trainable.keys(), ...trainer.unit.frozen.keys()])
          if (!finished.has(path)) finished.set(path, values(path).slice());
      }
    } finally {
      log?.close();
      for (const { trainer } of sessions) await trainer.dispose();
    }
    if (options.signal?.aborted) break;
  }
  return {
    finished: wanted.every((unit) => steps[unit.name] === options.steps),
    steps,
    values: (path) => finished.get(path) ?? notKept(path),
  };
}

function notKept(path: string): never {
  const message = `The value of ${path} was not kept: its unit is not finished, or train was called with a store and without keepValues: true.`;
  throw new UsageError("valuesNotKept", { path }, message);
}

/** One step of each unit in turn until all have made theirs; a unit that is ahead waits for the others. */
async function trainTogether(
  { order: { averaging } }: TrainingMethod,
  sessions: readonly UnitSession[],
  options: TrainOptions,
  log: RunLog | undefined,
): Promise<void> {
  const { steps, saveEvery = 200, signal } = options;
  const breathe = eventLoopBreather();
  const behind = (): number => Math.min(...sessions.map(({ trainer }) => trainer.steps));
  for (let step = behind(); step < steps && !signal?.aborted; step = behind()) {
    for (const session of sessions.filter(({ trainer }) => trainer.steps === step)) await trainStep(session, options, log);
    if (averaging !== undefined && (step + 1) % averaging.every === 0)
      averageParameters(averaging.groups, new Map(sessions.flatMap(({ trainer }) => [...trainer.state.parameters])));
    if (log !== undefined && step + 1 < steps && (step + 1) % saveEvery === 0)
      for (const session of sessions) await saveSession(session, log);
    await breathe();
  }
  if (behind() === steps) await evaluateLast(sessions, options, log);
  for (const session of sessions) {
    if (log !== undefined) await saveSession(session, log);
    if (session.trainer.steps < steps) continue;
    await session.trainer.download();
    options.onUnitDone?.(session.trainer.unit, session.values);
  }
}

async function trainStep(session: UnitSession, options: TrainOptions, log: RunLog | undefined): Promise<void> {
  const { batches, accumulate = 1, logEvery = 10, evaluateEvery = Number.POSITIVE_INFINITY, steps } = options;
  const { trainer } = session;
  const { unit } = trainer;
  const first = trainer.steps * accumulate;
  const list: Batch[] = [];
  for (let i = 0; i < accumulate; i++) list.push(await batches.at(first + i));
  const report = await trainer.step(list);
  options.onStep?.(unit, report);
  const { step, loss, metrics, gradientNorm, learningRate } = report;
  const logged: Record<string, MetricValue> = {};
  if (step % logEvery === 0 || step === steps) Object.assign(logged, { loss, ...metrics, gradientNorm, learningRate });
  if (step % evaluateEvery === 0 && step < steps) Object.assign(logged, await evaluated(session, options));
  writeLog(log, unit, step, logged);
}

/** The evaluation after the last step, of units that made one: beside what made the steps it would be the peak of memory. */
async function evaluateLast(sessions: readonly UnitSession[], options: TrainOptions, log: RunLog | undefined): Promise<void> {
  for (const { trainer } of sessions) await trainer.release();
  for (const session of sessions) {
    const { unit, steps } = session.trainer;
    if (session.savedAt === steps) continue; // loaded like this, and evaluated before it was saved
    writeLog(log, unit, steps, await evaluated(session, options));
  }
}

/** The evaluation of a unit, as it is logged. */
async function evaluated({ trainer, values }: UnitSession, { evaluate, onEvaluated }: TrainOptions): Promise<Record<string, MetricValue>> {
  if (evaluate === undefined) return {};
  await trainer.download();
  const metrics = await evaluate(trainer.unit, values);
  if (Object.keys(metrics).length > 0) onEvaluated?.(trainer.unit, trainer.steps, metrics);
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`validation/${name}`, value]));
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
