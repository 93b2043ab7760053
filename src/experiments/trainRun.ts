import { type Device, openDevice, watchPeak } from "../runtime/index.ts";
import { type StepReport, train, type Unit } from "../train/index.ts";
import { buildOptimizer, buildSchedule } from "./build.ts";
import { type PreparedRun, prepareRun } from "./prepare.ts";
import { runReport } from "./report.ts";
import type { RunConfig } from "./runConfig.ts";
import type { Evaluation } from "./task.ts";
import { judgeRun } from "./trainedRun.ts";

/** What a run tells while it goes on. */
export interface RunListener {
  /** Told once before the first step. */
  onStart?(start: PreparedRun & { readonly device: Device }): void;
  onStep?(unit: Unit, report: StepReport): void;
  onEvaluated?(unit: Unit, step: number, metrics: Readonly<Record<string, number>>): void;
  onNotice?(message: string): void;
}

export interface TrainRunOptions extends RunListener {
  readonly path: string;
  readonly config: RunConfig;
  /** Train only this unit, by name or number: on a machine of its own, or for a night. */
  readonly unit?: string | undefined;
  /** Stops after the current step; what was done is saved. */
  readonly signal?: AbortSignal | undefined;
}

/** What training took in this process, data set and evaluation of the whole not counted. */
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
  /** Of the whole method, once every unit is trained; a run of one unit leaves it to the run of all. */
  readonly evaluation: Evaluation | undefined;
  readonly reportPath: string | undefined;
}

/**
 * Starts a run in a folder, or goes on with the one that is there, each unit from its newest whole checkpoint; ends with an evaluation and
 * report.html when every unit is trained. A run that was stopped, or killed, and started again gives the same weights as one that was not.
 *
 * @throws what {@link prepareRun} throws; {TrainingError} if the loss is not finite: the checkpoints before it stay.
 */
export async function trainRun({ path, config: given, unit, signal, ...listener }: TrainRunOptions): Promise<TrainRunResult> {
  const onNotice = (message: string): void => listener.onNotice?.(message);
  const prepared = await prepareRun({ path, config: given, unit, onNotice });
  const { config, folder, hash, task, units, steps } = prepared;
  const { method } = task;
  const { training, execution } = config;

  await using device = await openDevice(execution.device, { ...(execution.threads && { threads: execution.threads }), onNotice });
  await using batches = task.openBatches(device);
  listener.onStart?.({ ...prepared, device });
  const [started, peak] = [performance.now(), watchPeak()];
  const result = await train(method, {
    device,
    batches,
    batchSize: training.batchSize,
    steps,
    schedule: execution.schedule !== "interleaved" && (method.independentUnits || method.inOrder) ? "sequential" : "interleaved",
    units: units.map(({ name }) => name),
    optimizer: buildOptimizer(config),
    learningRate: buildSchedule(config, task.stepsPerEpoch).learningRate,
    seed: training.seed,
    checkpointing: training.checkpointing,
    clipNorm: training.clipNorm,
    emaDecay: training.emaDecay,
    accumulate: training.accumulate,
    signal,
    record: {
      folder,
      configHash: hash,
      openLog: (resumeFrom) => folder.openMetrics({ resumeFrom, ...(unit !== undefined && { unit: units[0]!.name }) }),
      logEvery: execution.logEvery,
      saveEvery: execution.saveEvery,
      keepLast: execution.keepLast,
      onSkip: (file, reason) => onNotice(`${file} was passed over: ${reason}`),
    },
    onStep: (trained, report) => listener.onStep?.(trained, report),
    onEvaluated: (trained, step, metrics) => listener.onEvaluated?.(trained, step, metrics),
    evaluate: (trained, values) => task.judgeUnit(trained, { device, values, batchSize: Math.min(training.batchSize, evaluationBatch) }),
    evaluateEvery: evaluationInterval(config, task.stepsPerEpoch),
  });
  const cost: TrainingCost = { seconds: (performance.now() - started) / 1000, ...peak?.() };
  if (unit !== undefined || !result.finished) return { ...result, cost, evaluation: undefined, reportPath: undefined };
  const { evaluation, sections } = await judgeRun(prepared, { device });
  await folder.writeFile("evaluation.json", `${JSON.stringify(evaluation, null, 2)}\n`);
  const records = await folder.readMetrics();
  const report = runReport({ config, method, dataName: task.data.name, result: sections, data: task.dataSection(), records });
  return { ...result, cost, evaluation, reportPath: await folder.writeReport(report) };
}

/** Images that are evaluated at once while the training step is in memory, whose peak they must not raise. */
const evaluationBatch = 16;

/** Steps between two evaluations of a unit; they are counted in epochs, of which every update takes `accumulate` batches. */
function evaluationInterval({ execution: { evaluateEvery }, training: { accumulate } }: RunConfig, stepsPerEpoch: number): number {
  if (evaluateEvery === 0) return Number.POSITIVE_INFINITY;
  return evaluateEvery * Math.max(1, Math.floor(stepsPerEpoch / accumulate));
}
