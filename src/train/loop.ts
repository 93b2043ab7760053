import { UsageError } from "../errors.ts";
import type { Optimizer, Schedule } from "../optim/index.ts";
import { CheckpointStore, claimOwnership, type MetricsLog, type MetricValue, type RunFolder } from "../run/index.ts";
import type { Device } from "../runtime/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { restoreUnit, saveUnit } from "./checkpoint.ts";
import type { Batch, TrainingMethod, Unit } from "./method.ts";
import type { ParameterValues } from "./predictor.ts";
import { type ParameterState, UnitState } from "./state.ts";
import { createTrainer, type StepReport, type Trainer } from "./trainer.ts";

/** Data by number: the batch of a step is a function of the step, so a resumed run sees what it would have seen. */
export interface BatchSource {
  readonly stepsPerEpoch: number;
  at(index: number): Batch | Promise<Batch>;
}

/** `sequential`: one unit after another, each alone in memory. `interleaved`: all in memory, one step each in turn. */
export type UnitSchedule = "sequential" | "interleaved";

export interface TrainOptions {
  readonly device: Device;
  readonly batches: BatchSource;
  readonly batchSize: number;
  /** Updates of each unit. */
  readonly steps: number;
  readonly schedule: UnitSchedule;
  /** Names of the units to train; all by default. */
  readonly units?: readonly string[] | undefined;
  readonly optimizer: Optimizer;
  readonly learningRate: Schedule;
  readonly seed: number;
  readonly checkpointing?: boolean;
  readonly clipNorm?: number;
  readonly emaDecay?: number | undefined;
  /** Batches that one update is made from. */
  readonly accumulate?: number;
  /** Where the run lives on disk; without it nothing is saved and `onUnitDone` is the only way to the result. */
  readonly record?: RunRecord | undefined;
  /** Stops after the current step; what was done is saved. */
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (unit: Unit, report: StepReport) => void;
  /** Measures a unit with its present parameters; called every `evaluateEvery` steps and after the last. */
  readonly evaluate?: (unit: Unit, values: ParameterValues) => Promise<Readonly<Record<string, number>>>;
  readonly evaluateEvery?: number;
  readonly onEvaluated?: (unit: Unit, step: number, metrics: Readonly<Record<string, number>>) => void;
  /** Called when a unit has made its last step, while its parameters are in memory. */
  readonly onUnitDone?: (unit: Unit, values: ParameterValues) => void;
}

/** A run on disk, and how often it is written. */
export interface RunRecord {
  readonly folder: RunFolder;
  readonly configHash: string;
  /** Opens the log for units that go on from these steps; later records of theirs are dropped, all of them at -1. */
  readonly openLog: (resumeFrom: Readonly<Record<string, number>>) => Promise<MetricsLog>;
  readonly logEvery: number;
  readonly saveEvery: number;
  readonly keepLast: number;
  /** Told of checkpoints that were damaged or foreign and passed over. */
  readonly onSkip: (path: string, reason: string) => void;
}

export interface TrainResult {
  /** Whether every unit made all its steps; false after the signal. */
  readonly finished: boolean;
  readonly steps: Readonly<Record<string, number>>;
}

/** The one loop: trains the units of any method, resumes each where its newest whole checkpoint left it, logs, saves and evaluates. */
export async function train(method: TrainingMethod, options: TrainOptions): Promise<TrainResult> {
  const wanted = method.units.filter((unit) => options.units?.includes(unit.name) ?? true);
  const steps: Record<string, number> = {};
  const groups = options.schedule === "sequential" ? wanted.map((unit) => [unit]) : [wanted];
  /** What units before this one learned, for units that build on them. */
  const learned = new Map<string, Float32Array>();
  for (const group of groups) {
    const sessions: UnitSession[] = [];
    let log: MetricsLog | undefined;
    using common = commonState(method, group, options);
    try {
      for (const unit of group) sessions.push(await openUnit(method, unit, options, common?.parameters));
      await restore(method, sessions, options);
      for (const { trainer } of sessions) await takeOver(trainer, learned);
      log = await options.record?.openLog(
        Object.fromEntries(sessions.map(({ trainer: { unit, steps: done } }) => [unit.name, done || -1])),
      );
      await trainTogether(method, sessions, options, log);
      for (const { trainer, values } of sessions) {
        steps[trainer.unit.name] = trainer.steps;
        if (method.inOrder) for (const path of trainer.unit.trainable.keys()) learned.set(path, values(path).slice());
      }
    } finally {
      log?.close();
      for (const session of sessions) await session.trainer.dispose();
    }
    if (options.signal?.aborted) break;
  }
  return { finished: wanted.every((unit) => steps[unit.name] === options.steps), steps };
}

/**
 * What several units of a group have, held once: updated by each that trains it, and seen by all.
 *
 * @throws {UsageError} if it goes on learning on a device where each unit's parameters live in memory of its own.
 */
function commonState(
  method: TrainingMethod,
  group: readonly Unit[],
  { device, seed, optimizer, emaDecay }: TrainOptions,
): UnitState | undefined {
  const paths = group.flatMap(({ trainable, frozen }) => [...trainable.keys(), ...frozen.keys()]);
  const several = new Set(paths.filter((path, i) => paths.indexOf(path) !== i));
  const common = (kind: "trainable" | "frozen"): [string, Tensor][] =>
    group.flatMap((unit) => [...unit[kind]].filter(([path]) => several.has(path)));
  const trainable = new Map(common("trainable"));
  if (device.name === "webgpu" && (trainable.size > 0 || (group.length > 1 && method.averaging !== undefined))) {
    const message = `${group.map(({ name }) => name).join(", ")} share parameters that go on learning; on webgpu each holds its own. Train them with --device cpu, or let blocks own their parameters.`;
    throw new UsageError("sharedOnDevice", { device: device.name, units: group.map(({ name }) => name) }, message);
  }
  if (several.size === 0) return undefined;
  const frozen = new Map(common("frozen").filter(([path]) => !trainable.has(path)));
  const unit: Unit = { name: "common", trainable, frozen, constants: new Map(), numLayers: 0 };
  return new UnitState(unit, { seed, numSlots: optimizer.slots.length, ema: emaDecay !== undefined });
}

/** A unit in training, with its place on disk. */
interface UnitSession {
  readonly trainer: Trainer;
  readonly values: ParameterValues;
  /** Its checkpoints, where there is a record, and the step of the one that was read or written last. */
  readonly store: CheckpointStore | undefined;
  savedAt: number | undefined;
}

async function openUnit(
  method: TrainingMethod,
  unit: Unit,
  options: TrainOptions,
  shared: ReadonlyMap<string, ParameterState> | undefined,
): Promise<UnitSession> {
  const { record } = options;
  const trainer = await createTrainer(method, { ...options, unit, ...(shared && { shared }) });
  const state = trainer.state.parameters;
  const values: ParameterValues = (path) => {
    const one = state.get(path)!;
    return one.ema.length > 0 ? one.ema : one.value;
  };
  if (record === undefined) return { trainer, values, store: undefined, savedAt: undefined };
  try {
    const folder = record.folder.unitFolder(unit.name);
    const store = await CheckpointStore.open({
      folder,
      unit: unit.name,
      configHash: record.configHash,
      owner: await claimOwnership(folder),
      keepLast: record.keepLast,
      onSkip: record.onSkip,
    });
    return { trainer, values, store, savedAt: undefined };
  } catch (error) {
    await trainer.dispose();
    throw error;
  }
}

/**
 * Each unit goes on from its newest whole checkpoint; units that depend on each other from the newest step that all of them have, or from the start.
 *
 * @throws {RunError} if one of them has no checkpoint of that step.
 */
async function restore(method: TrainingMethod, sessions: readonly UnitSession[], { optimizer }: TrainOptions): Promise<void> {
  const mustAgree = sessions.length > 1 && !method.independentUnits;
  let agreed = Number.POSITIVE_INFINITY;
  if (mustAgree) for (const { store } of sessions) agreed = Math.min(agreed, (await store?.load())?.step ?? 0);
  if (agreed === 0) return;
  for (const session of sessions) {
    const checkpoint = await (mustAgree ? session.store!.load(agreed) : session.store?.load());
    if (checkpoint === undefined) continue;
    await restoreUnit(session.trainer, checkpoint, optimizer.slots);
    session.savedAt = checkpoint.step;
  }
}

/** Saves a unit once for each step; the log is made durable first, so that no checkpoint is newer than its log. */
async function save(session: UnitSession, { optimizer }: TrainOptions, log: MetricsLog): Promise<void> {
  const { trainer, store } = session;
  if (session.savedAt === trainer.steps) return;
  log.sync();
  await saveUnit(store!, trainer, optimizer.slots);
  session.savedAt = trainer.steps;
}

/** A unit that builds on others gets what they learned. */
async function takeOver(trainer: Trainer, learned: ReadonlyMap<string, Float32Array>): Promise<void> {
  const paths = [...trainer.unit.frozen.keys()].filter((path) => learned.has(path));
  if (paths.length === 0) return;
  for (const path of paths) trainer.state.parameters.get(path)!.value.set(learned.get(path)!);
  await trainer.resume(trainer.steps);
}

/** One step of each unit in turn until all have made theirs; a unit that is ahead waits for the others. */
async function trainTogether(
  method: TrainingMethod,
  sessions: readonly UnitSession[],
  options: TrainOptions,
  log: MetricsLog | undefined,
): Promise<void> {
  const { steps, record, signal } = options;
  const breathe = eventLoopBreather();
  const behind = (): number => Math.min(...sessions.map(({ trainer }) => trainer.steps));
  for (let step = behind(); step < steps && !signal?.aborted; step = behind()) {
    for (const session of sessions.filter(({ trainer }) => trainer.steps === step)) await trainStep(session, options, log);
    if (method.averaging !== undefined && (step + 1) % method.averaging.every === 0) averageParameters(method.averaging.groups, sessions);
    if (log !== undefined && step + 1 < steps && (step + 1) % record!.saveEvery === 0)
      for (const session of sessions) await save(session, options, log);
    await breathe();
  }
  const isDone = behind() === steps;
  if (isDone) await finish(sessions, options, log);
  for (const session of sessions) {
    if (log !== undefined) await save(session, options, log);
    if (session.trainer.steps < steps) continue;
    await session.trainer.download();
    options.onUnitDone?.(session.trainer.unit, session.values);
  }
}

/** The evaluation after the last step, of units that made one: beside what made the steps it would be the peak of memory. */
async function finish(sessions: readonly UnitSession[], options: TrainOptions, log: MetricsLog | undefined): Promise<void> {
  for (const { trainer } of sessions) await trainer.release();
  for (const session of sessions) {
    if (session.savedAt === session.trainer.steps) continue; // it came so from its checkpoint
    const validation = await evaluated(session, options);
    if (Object.keys(validation).length > 0) log?.write(session.trainer.unit.name, session.trainer.steps, validation);
  }
}

/** What a unit's evaluation says, as it is logged. */
async function evaluated({ trainer, values }: UnitSession, { evaluate, onEvaluated }: TrainOptions): Promise<Record<string, MetricValue>> {
  if (evaluate === undefined) return {};
  await trainer.download();
  const metrics = await evaluate(trainer.unit, values);
  if (Object.keys(metrics).length > 0) onEvaluated?.(trainer.unit, trainer.steps, metrics);
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`validation/${name}`, value]));
}

async function trainStep(session: UnitSession, options: TrainOptions, log: MetricsLog | undefined): Promise<void> {
  const { batches, accumulate = 1, record, evaluateEvery = Number.POSITIVE_INFINITY, steps } = options;
  const { trainer } = session;
  const { unit } = trainer;
  const first = trainer.steps * accumulate;
  const list: Batch[] = [];
  for (let i = 0; i < accumulate; i++) list.push(await batches.at(first + i));
  const report = await trainer.step(list);
  options.onStep?.(unit, report);
  const isLast = report.step === steps;
  const logged: Record<string, MetricValue> = {};
  if (record !== undefined && (report.step % record.logEvery === 0 || isLast)) {
    Object.assign(logged, { loss: report.loss, ...report.metrics, gradientNorm: report.gradientNorm, learningRate: report.learningRate });
  }
  if (report.step % evaluateEvery === 0 && !isLast) Object.assign(logged, await evaluated(session, options));
  if (Object.keys(logged).length > 0) log?.write(unit.name, report.step, logged);
}

/** Each group of parameters becomes its mean. */
function averageParameters(groups: readonly (readonly string[])[], sessions: readonly UnitSession[]): void {
  const all = new Map(sessions.flatMap(({ trainer }) => [...trainer.state.parameters]));
  for (const group of groups) {
    const members = group.map((path) => all.get(path)!.value);
    for (let i = 0; i < members[0]!.length; i++) {
      const mean = members.reduce((sum, member) => sum + member[i]!, 0) / members.length;
      for (const member of members) member[i] = mean;
    }
  }
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
