import { shellCommand } from "../cluster/index.ts";
import { buildOptimizer, evaluationInterval, overridden, overridesAt, type Registry, type RunConfig } from "../define/index.ts";
import { TrainingError } from "../errors.ts";
import type { TrainedUse } from "../inference/index.ts";
import { registry as builtIn } from "../registry/index.ts";
import type { Section } from "../report/index.ts";
import { folderStore } from "../run/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { watchPeak } from "../runtime/node.ts";
import { prefetchBatches } from "../sources/index.ts";
import { isDivergence, type StepReport, train, type Unit } from "../train/index.ts";
import { describedStore } from "./describedStore.ts";
import { measureLossByNoise } from "./lossByNoise.ts";
import { type PreparedRun, prepareRun } from "./prepare.ts";
import { machineText, softwareVersions } from "./provenance.ts";
import { runReport } from "./report.ts";
import { loadParameters } from "./trainedRun.ts";

/** Callbacks of a run. */
export interface RunListener {
  /** Called once before the first step. */
  onStart?(start: PreparedRun & { readonly device: Device }): void;
  onStep?(unit: Unit, report: StepReport): void;
  onEvaluated?(unit: Unit, step: number, metrics: Readonly<Record<string, number>>): void;
  onNotice?(message: string): void;
  /** Versions, times and files: what is of interest when something is slow or wrong. */
  onDetail?(message: string): void;
}

export interface TrainRunOptions extends RunListener {
  /** Models and methods; those of the package by default. */
  readonly registry?: Registry;
  readonly path: string;
  readonly config: RunConfig;
  /** Train only these units, by name or number: on a machine of their own, or for a night. */
  readonly units?: readonly string[] | undefined;
  /** Settings that the run which is there goes on with, by path: "training.learningRate". */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
  /** Stops after the current step; what was done is saved. */
  readonly signal?: AbortSignal | undefined;
}

/** Cost of training in this process, without reading data and the evaluation of the whole. */
export interface TrainingCost {
  readonly seconds: number;
  /** Resident memory before the first step, data and device included, and the most while training. */
  readonly baseBytes?: number;
  readonly peakBytes?: number;
}

export interface TrainRunResult {
  readonly finished: boolean;
  /** Updates made of each unit, in this process and before. */
  readonly steps: Readonly<Record<string, number>>;
  readonly cost: TrainingCost;
  /** Of the whole method, once every unit is trained; a run of some units leaves it to the run of all. */
  readonly evaluation: object | undefined;
  readonly reportPath: string | undefined;
}

/**
 * Starts a run in a folder, or resumes the one that is there, each unit from its newest whole checkpoint; ends with an evaluation and
 * report.html when every unit is trained. A run that was stopped, or killed, and started again gives the same
 * weights as one that was not.
 *
 * @throws what {@link prepareRun} throws; {TrainingError} if the loss is not finite: the checkpoints before it stay.
 */
export async function trainRun({
  registry = builtIn,
  path,
  config: given,
  units: names,
  overrides,
  signal,
  ...listener
}: TrainRunOptions): Promise<TrainRunResult> {
  const onNotice = (message: string): void => listener.onNotice?.(message);
  const onDetail = (message: string): void => listener.onDetail?.(message);
  onDetail(`${softwareVersions()}; ${machineText()}`);
  const prepared = await prepareRun({ registry, path, config: given, units: names, overrides, onNotice, onDetail });
  const { config, folder, hash, task, data, method, units, steps, learningRate, stepsPerEpoch } = prepared;
  const { training, execution } = config;
  const { batchSize, seed, accumulate } = training;

  await using device = await openDevice(execution.device, { threads: execution.threads, onNotice });
  // While a GPU computes, a thread of its own makes the next batch. On the CPU it would take from the step what it gives to the batch.
  const batches = task.batches(data, config.data, training, device.name === "webgpu" ? prefetchBatches : undefined);
  await using _ = { [Symbol.asyncDispose]: async () => batches[Symbol.asyncDispose]?.() };
  const damaged = await folder.damagedMetrics(); // before the log is opened, which leaves these lines out for good
  if (damaged !== undefined) onNotice(damaged);
  onDetail(`ONNX Runtime ${device.version}, ${device.name}, threads: ${device.threads}`);
  listener.onStart?.({ ...prepared, device });
  const checkpoints = folderStore(folder, {
    configHash: hash,
    ownLogs: names !== undefined,
    keepLast: execution.keepLast,
    onSkip: (file, reason) => onNotice(`${file} was passed over: ${reason}`),
  });
  const [started, peak] = [performance.now(), watchPeak()];
  const result = await train(method, {
    device,
    batches,
    batchSize,
    steps,
    schedule: execution.schedule === "interleaved" ? "interleaved" : "sequential",
    units: units.map(({ name }) => name),
    optimizer: buildOptimizer(config),
    learningRate,
    seed,
    checkpointing: training.checkpointing,
    parts: training.parts,
    clipNorm: training.clipNorm,
    emaDecay: training.emaDecay,
    accumulate,
    signal,
    store: describedStore(checkpoints, onDetail),
    logEvery: execution.logEvery,
    saveEvery: execution.saveEvery,
    onStep: (trained, report) => listener.onStep?.(trained, report),
    onEvaluated: (trained, step, metrics) => listener.onEvaluated?.(trained, step, metrics),
    evaluate: (trained, values) =>
      task.evaluateUnit(method, trained, data, { device, values, batchSize: Math.min(batchSize, evaluationBatch) }),
    evaluateEvery: evaluationInterval(config, stepsPerEpoch),
    costOf: (metrics) => task.unitCostOf(metrics),
    patience: overridden(config).training.patience,
    keepBest: execution.keepBest,
    onDivergence: execution.onNan,
    onDiverged: (_, message) => onNotice(message),
    notesAt: (trained, step) => overridesAt(config, trained, step),
  }).catch((error: unknown) => {
    throw isDivergence(error) ? withRemedy(error, prepared) : error;
  });
  const cost: TrainingCost = { seconds: (performance.now() - started) / 1000, ...peak?.() };
  if (names !== undefined || !result.finished) return { ...result, cost, evaluation: undefined, reportPath: undefined };
  const values = await loadParameters({ ...prepared, info: task.infoOf(data) });
  const evaluation = (await task.evaluate(method, data, { device, values, batchSize, seeds: 3 })) as object;
  await folder.writeEvaluation(evaluation);
  const shown = {
    lossByNoise: await measureLossByNoise(task, method, data, { device, values, batchSize }),
    samples: await samplesOf(prepared, { device, values }),
  };
  const report = runReport({ ...prepared, ...shown, evaluation, records: await folder.readMetrics(), path, device, cost });
  return { ...result, cost, evaluation, reportPath: await folder.writeReport(report) };
}

/** A divergence with the commands that mend the run. */
function withRemedy({ code, data, message }: TrainingError, { config, folder }: PreparedRun): TrainingError {
  const again = ["dblocks", "train", config.model.name, "--run", folder.path];
  const half = overridden(config).training.learningRate / 2;
  const restore = shellCommand([...again, "--on-nan", "restore"]);
  const override = shellCommand([...again, "--override", `training.learningRate=${half}`]);
  return new TrainingError(
    code,
    data,
    `${message} To go on from the checkpoints before at half the rate, and lower where that is not enough: ${restore}; or with a rate of your choice: ${override}`,
  );
}

/** What the trained model draws, as a section of the report. */
async function samplesOf({ task, method, data }: PreparedRun, use: TrainedUse): Promise<Section | undefined> {
  if (task.samplesSection === undefined) return undefined;
  await using model = task.trained(method, task.infoOf(data), use);
  return await task.samplesSection(model);
}

/** Samples that are evaluated at once while the training step is in memory, whose peak they must not raise. */
const evaluationBatch = 16;
