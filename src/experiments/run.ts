import { type ImageDataset, loadImages } from "../data/index.ts";
import { type Partition, partitionToJSON } from "../diffusion/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { CheckpointStore, configHash, differingKeys, openRun, type RunFolder } from "../run/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { predictionValues, type StepReport, type TrainingMethod, train, type Unit } from "../train/index.ts";
import { buildBatches, buildMethod, buildOptimizer, buildPartition, buildSchedule } from "./build.ts";
import { type Evaluation, evaluateMethod, evaluateUnit } from "./evaluate.ts";
import { runReport } from "./report.ts";
import { identityOf, type RunConfig, runConfigSchema } from "./runConfig.ts";

/** What a run tells while it goes on. */
export interface RunListener {
  /** Told once before the first step. */
  onStart?(start: { readonly method: TrainingMethod; readonly data: ImageDataset; readonly steps: number; readonly device: Device }): void;
  onStep?(unit: Unit, report: StepReport): void;
  onEvaluated?(unit: Unit, step: number, metrics: Readonly<Record<string, number>>): void;
  onNotice?(message: string): void;
}

export interface TrainRunOptions extends RunListener {
  readonly path: string;
  readonly config: RunConfig;
  /** Train only this unit: on a machine of its own, or for a night. */
  readonly unit?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TrainRunResult {
  readonly finished: boolean;
  readonly steps: Readonly<Record<string, number>>;
  /** Of the whole method, once every unit is trained; a run of one unit leaves it to the run of all. */
  readonly evaluation: Evaluation | undefined;
  readonly reportPath: string | undefined;
}

/** Starts a run in a folder, or goes on with the one that is there; ends with an evaluation and report.html when every unit is trained. */
export async function trainRun({ path, config, unit, signal, ...listener }: TrainRunOptions): Promise<TrainRunResult> {
  const data = await loadImages(config.data.path);
  const method = buildMethod(config, data);
  const units = unit === undefined ? undefined : [unitNamed(method, unit).name];
  const batches = buildBatches(config, data);
  const { steps, learningRate } = buildSchedule(config, batches.stepsPerEpoch);
  const { training, execution } = config;
  const folder = await openRun(path, { create: true });
  const hash = await claimConfig(folder, config, data);
  if (config.method === "blocks") await folder.writePartition(partitionFile(buildPartition(config), method));

  await using device = await openDevice(execution.device, {
    ...(execution.threads && { threads: execution.threads }),
    onNotice: (message) => listener.onNotice?.(message),
  });
  listener.onStart?.({ method, data, steps, device });
  const result = await train(method, {
    device,
    batches,
    batchSize: training.batchSize,
    steps,
    schedule: execution.schedule === "interleaved" || !method.independentUnits ? "interleaved" : "sequential",
    units,
    optimizer: buildOptimizer(config),
    learningRate,
    seed: training.seed,
    checkpointing: training.checkpointing,
    clipNorm: training.clipNorm,
    emaDecay: training.emaDecay,
    accumulate: training.accumulate,
    signal,
    record: {
      folder,
      configHash: hash,
      openLog: (resumeFrom) => folder.openMetrics({ resumeFrom, ...(units && { unit: units[0]! }) }),
      logEvery: execution.logEvery,
      saveEvery: execution.saveEvery,
      keepLast: execution.keepLast,
      onSkip: (file, reason) => listener.onNotice?.(`${file} was passed over: ${reason}`),
    },
    onStep: (trained, report) => listener.onStep?.(trained, report),
    onEvaluated: (trained, step, metrics) => listener.onEvaluated?.(trained, step, metrics),
    evaluate: async (trained, values) => ({ accuracy: await evaluateUnit(method, trained, data, device, values, training.batchSize) }),
    evaluateEvery:
      execution.evaluateEvery === 0
        ? Number.POSITIVE_INFINITY
        : execution.evaluateEvery * Math.max(1, Math.floor(batches.stepsPerEpoch / training.accumulate)),
  });
  const isWhole = unit === undefined && result.finished && (await unfinishedUnits(folder, method, hash, steps)).length === 0;
  if (!isWhole) return { ...result, evaluation: undefined, reportPath: undefined };
  const evaluation = await evaluateFolder(folder, method, data, device, hash, training.batchSize);
  await folder.writeFile("evaluation.json", `${JSON.stringify(evaluation, null, 2)}\n`);
  const reportPath = await folder.writeReport(runReport({ config, method, data, evaluation, records: await folder.readMetrics() }));
  return { ...result, evaluation, reportPath };
}

export interface EvaluateRunOptions {
  readonly path: string;
  /** Data to evaluate on; the run's own by default. */
  readonly dataPath?: string | undefined;
  readonly device?: RunConfig["execution"]["device"] | undefined;
  readonly threads?: number | undefined;
  readonly seeds?: number;
}

/** Evaluates a trained run from its folder alone. */
export async function evaluateRun({ path, dataPath, device: name, threads, seeds = 3 }: EvaluateRunOptions): Promise<Evaluation> {
  const { folder, config, method, data, hash } = await openTrainedRun(path, dataPath);
  const chosen = threads ?? config.execution.threads;
  await using device = await openDevice(name ?? config.execution.device, chosen === undefined ? {} : { threads: chosen });
  return await evaluateFolder(folder, method, data, device, hash, config.training.batchSize, seeds);
}

/** A run's folder, configuration, data and method, for reading. */
export async function openTrainedRun(
  path: string,
  dataPath?: string,
): Promise<{ folder: RunFolder; config: RunConfig; method: TrainingMethod; data: ImageDataset; hash: string }> {
  const folder = await openRun(path);
  const config = await folder.readConfig(runConfigSchema);
  const data = await loadImages(dataPath ?? config.data.path);
  const method = buildMethod(config, data);
  return { folder, config, method, data, hash: configHash(identityOf(config, data)) };
}

/** The unit of this name, or of this number. */
export function unitNamed(method: TrainingMethod, name: string): Unit {
  const unit = method.units.find((one) => one.name === name || one.name === `block-${name}`);
  if (unit !== undefined) return unit;
  const names = method.units.map((one) => one.name);
  throw new UsageError("unknownUnit", { name, names }, `There is no unit "${name}" in ${method.name}; there are ${names.join(", ")}.`);
}

/** The parameters of every unit from its newest whole checkpoint. @throws {RunError} if a unit has none. */
export async function loadParameters(folder: RunFolder, method: TrainingMethod, hash: string): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const unit of method.units) {
    const reasons: string[] = [];
    const store = CheckpointStore.forReading({
      folder: folder.unitFolder(unit.name),
      unit: unit.name,
      configHash: hash,
      onSkip: (file, reason) => reasons.push(`${file}: ${reason}`),
    });
    const checkpoint = await store.load();
    if (checkpoint === undefined) {
      throw new RunError(
        "untrained",
        { unit: unit.name, reasons },
        `${folder.path} has no usable checkpoint of ${unit.name}${reasons.length > 0 ? ` (${reasons.join("; ")})` : ""}. Train it: dblocks train vit --run ${folder.path}`,
      );
    }
    for (const [name, value] of predictionValues(unit, checkpoint)) values.set(name, value);
  }
  return values;
}

async function evaluateFolder(
  folder: RunFolder,
  method: TrainingMethod,
  data: ImageDataset,
  device: Device,
  hash: string,
  batchSize: number,
  seeds = 3,
): Promise<Evaluation> {
  const parameters = await loadParameters(folder, method, hash);
  return evaluateMethod(method, data, { device, values: (name) => parameters.get(name)!, batchSize, seeds });
}

async function unfinishedUnits(folder: RunFolder, method: TrainingMethod, hash: string, steps: number): Promise<string[]> {
  const missing: string[] = [];
  for (const { name } of method.units) {
    const [newest] = await CheckpointStore.forReading({ folder: folder.unitFolder(name), unit: name, configHash: hash }).entries();
    if (newest?.step !== steps) missing.push(name);
  }
  return missing;
}

/** Writes config.json, or makes sure that the run in the folder is the same one; only where and how it is executed may differ. */
async function claimConfig(folder: RunFolder, config: RunConfig, data: ImageDataset): Promise<string> {
  const identity = identityOf(config, data);
  if (await folder.hasConfig()) {
    const present = identityOf(await folder.readConfig(runConfigSchema), data);
    if (configHash(present) !== configHash(identity)) {
      const keys = differingKeys(present, identity);
      throw new UsageError(
        "otherConfig",
        { path: folder.path, keys },
        `${folder.path} holds a run with another configuration; different are: ${keys.join(", ")}. Choose another --run, or repeat the run's own options to go on with it.`,
      );
    }
  }
  await folder.writeConfig(config, { replace: true });
  return configHash(identity);
}

function partitionFile(partition: Partition, method: TrainingMethod): object {
  return {
    ...partitionToJSON(partition),
    ranges: partition.ranges,
    trainingRanges: partition.trainingRanges,
    layersPerBlock: method.units.map(({ numLayers }) => numLayers),
  };
}
