import { type AnyTask, buildMethod, identityOf, partitionFile, type Registry, type RunConfig, resolveConfig } from "../define/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { canonicalJson } from "../formats/index.ts";
import { CheckpointStore, configHash, openRun, type RunFolder, savedState } from "../run/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { type ParameterValues, predictionValues, type TrainingMethod } from "../train/index.ts";
import { loadData } from "./data.ts";
import { readRunConfig } from "./runConfigFile.ts";

/** A run as its folder has it, for reading: it needs no data. */
export interface TrainedRun {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly task: AnyTask;
  readonly method: TrainingMethod;
  /** The kept part of the data that it was trained on. */
  readonly info: { readonly name: string };
  /** Of the configuration's identity: the run's checkpoints carry it. */
  readonly hash: string;
  /** Which checkpoint of each unit is used: by default the best where one was kept, else the newest. */
  readonly checkpoint?: "best" | "last" | undefined;
  /** Told what is used where a best checkpoint was kept. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Opens a run that was trained, or is in training; nothing in its folder is changed. @throws {RunError} if there is none. */
export async function openTrainedRun(
  registry: Registry,
  path: string,
  choice: Pick<TrainedRun, "checkpoint" | "onNotice"> = {},
): Promise<TrainedRun> {
  const folder = await openRun(path);
  const config = await readRunConfig(registry, folder);
  const { task } = resolveConfig(registry, config);
  const info = (await folder.readDataInfo()) as { readonly name: string };
  const method = buildMethod(registry, config, task.shapeOf(info, config.data));
  await checkPartition(folder, method);
  return { ...choice, folder, config, task, method, info, hash: configHash(identityOf(registry, config, config.data.name ?? info.name)) };
}

/**
 * That partition.json is of this run: its ranges are those that the configuration gives.
 *
 * @throws {RunError} `otherPartition` if they are not, and {FormatError} if the file is damaged.
 */
async function checkPartition(folder: RunFolder, method: TrainingMethod): Promise<void> {
  const expected = partitionFile(method);
  if (expected === undefined || (await folder.readFile("partition.json")) === undefined) return; // none, or a run that is just starting
  const found = await folder.readPartition();
  if (canonicalJson(found) === canonicalJson(JSON.parse(JSON.stringify(expected)))) return;
  const message = `${folder.path}/partition.json does not have the ranges that config.json gives: one of them is of another run, or was changed. Copy both from where the run was trained.`;
  throw new RunError("otherPartition", { path: folder.path }, message);
}

/** Where a run is executed, if not as its configuration says. */
export interface DeviceChoice {
  readonly device?: RunConfig["execution"]["device"] | undefined;
  readonly threads?: number | undefined;
}

/** The device of a run, or another one. */
export function deviceOf({ config: { execution } }: Pick<TrainedRun, "config">, choice: DeviceChoice = {}): Promise<Device> {
  return openDevice(choice.device ?? execution.device, { threads: choice.threads ?? execution.threads });
}

/**
 * The data to evaluate a run on.
 *
 * @param path where they are; the run's own by default.
 * @throws {DataError} if they are missing. {UsageError} if they are of another shape than those that the run learned from.
 */
export async function evaluationData({ task, config, info, folder }: TrainedRun, path?: string): Promise<{ readonly name: string }> {
  const data = (await loadData(task, config.data, { path })) as { readonly name: string };
  const shape = (of: unknown): string => JSON.stringify(task.shapeOf(of, config.data));
  const found = task.infoOf(data) as { readonly name: string };
  if (shape(found) === shape(info)) return (task.readsAs?.(data, info) as typeof data | undefined) ?? data;
  throw new UsageError(
    "otherData",
    { data: data.name, trainedOn: info.name },
    `${folder.path} was trained on ${info.name}; ${data.name} has samples or classes of another size. Give data of the same shape with --data.`,
  );
}

/** The parameters of every unit from its best or newest whole checkpoint, by path. @throws {RunError} if a unit has none. */
export async function loadParameters({ folder, method, hash, config, checkpoint: wanted, onNotice }: TrainedRun): Promise<ParameterValues> {
  const values = new Map<string, Float32Array>();
  const trained = new Set(method.units.flatMap(({ trainable }) => [...trainable.keys()]));
  for (const unit of method.units) {
    const reasons: string[] = [];
    const store = CheckpointStore.forReading({
      folder: folder.unitFolder(unit.name),
      unit: unit.name,
      configHash: hash,
      onSkip: (file, reason) => reasons.push(`${file}: ${reason}`),
    });
    const best = wanted === "last" ? undefined : await store.loadBest();
    if (wanted === "best" && best === undefined) {
      const message = `${folder.path} has no best checkpoint of ${unit.name}; one is kept by --keep-best or --patience. Leave --checkpoint out.`;
      throw new RunError("noBest", { unit: unit.name, reasons }, message);
    }
    if (best !== undefined) onNotice?.(`${unit.name}: the best checkpoint, of step ${best.step} (--checkpoint last takes the newest)`);
    const checkpoint = best ?? (await store.load());
    if (checkpoint === undefined) {
      const why = reasons.length > 0 ? ` (${reasons.join("; ")})` : "";
      const message = `${folder.path} has no usable checkpoint of ${unit.name}${why}. Train it: dblocks train ${config.model.name} --run ${folder.path}`;
      throw new RunError("untrained", { unit: unit.name, reasons }, message);
    }
    // What another unit trains, this one has as it was when it last saw it.
    for (const [path, value] of predictionValues(unit, savedState(checkpoint)))
      if (unit.trainable.has(path) || !trained.has(path)) values.set(path, value);
  }
  return (path) => values.get(path)!;
}

export interface EvaluateRunOptions extends DeviceChoice {
  /** See {@link evaluationData}; the run's own by default. */
  readonly data?: { readonly name: string };
  readonly seeds?: number;
}

/**
 * Evaluates a trained run.
 *
 * @returns an evaluation of the run's task, whose `textOf` shows it.
 * @throws {RunError} if a unit is not trained.
 */
export async function evaluateRun(run: TrainedRun, { data, seeds = 3, ...choice }: EvaluateRunOptions = {}): Promise<object> {
  const evaluated = data ?? (await evaluationData(run));
  const values = await loadParameters(run);
  await using device = await deviceOf(run, choice);
  const { task, method, config } = run;
  return (await task.evaluate(method, evaluated, { device, values, batchSize: config.training.batchSize, seeds })) as object;
}
