import type { ImageDenoiser } from "../blocks/index.ts";
import { type ImageDataset, loadImages } from "../data/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { CheckpointStore, configHash, openRun, type RunFolder } from "../run/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { type Classifier, isClassifier, predictionValues } from "../train/index.ts";
import { buildMethod } from "./build.ts";
import { type ClassEvaluation, evaluateMethod } from "./evaluate.ts";
import { evaluateImages, type ImageEvaluation } from "./evaluateImages.ts";
import { identityOf, type RunConfig, runConfigSchema } from "./runConfig.ts";

/** What is measured of a run, by what its network is for. */
export type Evaluation = ClassEvaluation | ImageEvaluation;

export function isOfClasses(evaluation: Evaluation): evaluation is ClassEvaluation {
  return "accuracies" in evaluation;
}

/** A run as its folder tells it, for reading. */
export interface TrainedRun {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly method: Classifier | ImageDenoiser;
  readonly data: ImageDataset;
  /** What the run's checkpoints carry. */
  readonly hash: string;
}

/**
 * Opens a run that was trained, or is in training; nothing in its folder is changed.
 *
 * @param dataPath data to use it on, of the shape and classes that it was trained on; the run's own by default.
 */
export async function openTrainedRun(path: string, dataPath?: string): Promise<TrainedRun> {
  const folder = await openRun(path);
  const config = await folder.readConfig(runConfigSchema);
  const data = await loadImages(dataPath ?? config.data.path);
  return { folder, config, method: buildMethod(config, data), data, hash: configHash(identityOf(config, config.data.name ?? data.name)) };
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
  return await evaluatePrepared(run, { device, ...(seeds !== undefined && { seeds }) });
}

/** Evaluates a run that is open. */
export async function evaluatePrepared(run: TrainedRun, { device, seeds = 3 }: { device: Device; seeds?: number }): Promise<Evaluation> {
  const parameters = await loadParameters(run);
  const { method, data, config } = run;
  const options = { device, values: (name: string) => parameters.get(name)!, batchSize: config.training.batchSize };
  return isClassifier(method) ? evaluateMethod(method, data, { ...options, seeds }) : evaluateImages(method, data, options);
}

/**
 * The parameters of every unit from its newest whole checkpoint, by path.
 *
 * @throws {RunError} if a unit has none. {UsageError} if the data are of another shape than those that the run learned from.
 */
export async function loadParameters({ folder, method, hash, data, config }: TrainedRun): Promise<Map<string, Float32Array>> {
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
