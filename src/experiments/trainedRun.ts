import { RunError, UsageError } from "../errors.ts";
import { CheckpointStore, configHash, openRun, type RunFolder } from "../run/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { predictionValues } from "../train/index.ts";
import { identityOf, type RunConfig, runConfigSchema } from "./runConfig.ts";
import { type Evaluation, type Judgement, loadData, type Task, taskOf } from "./task.ts";

/** A run as its folder tells it, for reading. */
export interface TrainedRun {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly task: Task;
  /** What the run's checkpoints carry. */
  readonly hash: string;
}

/** What a run was configured as, without its data. @throws {RunError} if there is none. */
export async function readRunConfig(path: string): Promise<RunConfig> {
  return (await openRun(path)).readConfig(runConfigSchema);
}

/**
 * Opens a run that was trained, or is in training; nothing in its folder is changed.
 *
 * @param dataPath data to use it on, of the shape and classes that it was trained on; the run's own by default.
 */
export async function openTrainedRun(path: string, dataPath?: string): Promise<TrainedRun> {
  const folder = await openRun(path);
  const config = await folder.readConfig(runConfigSchema);
  const data = await loadData(config, { path: dataPath });
  return { folder, config, task: taskOf(config, data), hash: configHash(identityOf(config, config.data.name ?? data.name)) };
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
export async function evaluateRun({ path, dataPath, device: name, threads, seeds }: EvaluateRunOptions): Promise<Evaluation> {
  const run = await openTrainedRun(path, dataPath);
  const chosen = threads ?? run.config.execution.threads;
  await using device = await openDevice(name ?? run.config.execution.device, chosen === undefined ? {} : { threads: chosen });
  return (await judgeRun(run, { device, ...(seeds !== undefined && { seeds }) })).evaluation;
}

/** Judges a run that is open. */
export async function judgeRun(run: TrainedRun, { device, seeds = 3 }: { device: Device; seeds?: number }): Promise<Judgement> {
  const parameters = await loadParameters(run);
  return run.task.judge({ device, values: (name) => parameters.get(name)!, batchSize: run.config.training.batchSize, seeds });
}

/**
 * The parameters of every unit from its newest whole checkpoint, by path.
 *
 * @throws {RunError} if a unit has none. {UsageError} if the data are of another shape than those that the run learned from.
 */
export async function loadParameters({ folder, task: { method, data }, hash, config }: TrainedRun): Promise<Map<string, Float32Array>> {
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
      const why = reasons.length > 0 ? ` (${reasons.join("; ")})` : "";
      throw new RunError(
        "untrained",
        { unit: unit.name, reasons },
        `${folder.path} has no usable checkpoint of ${unit.name}${why}. Train it: dblocks train ${config.model} --run ${folder.path}`,
      );
    }
    const expected = [...unit.trainable, ...unit.frozen];
    const other = expected.find(([path, { shape }]) => checkpoint.tensors.get(`value/${path}`)?.shape.join() !== shape.join());
    if (other !== undefined && data.name !== config.data.name) {
      throw new UsageError(
        "otherData",
        { data: data.name, trainedOn: config.data.name, parameter: other[0] },
        `${folder.path} was trained on ${config.data.name ?? "other data"}; ${data.name} has images or classes of another size. Give data of the same shape with --data.`,
      );
    }
    for (const [name, value] of predictionValues(unit, checkpoint)) values.set(name, value);
  }
  return values;
}
