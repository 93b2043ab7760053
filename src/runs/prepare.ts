import { resolve } from "node:path";
import {
  type AnyTask,
  buildMethod,
  buildSchedule,
  configJsonSchema,
  identityOf,
  partitionFile,
  type Registry,
  type RunConfig,
  resolveConfig,
  withPaths,
} from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { Schedule } from "../optim/index.ts";
import { configHash, differingKeys, openRun, type RunFolder } from "../run/index.ts";
import { parameterCount, type TrainingMethod, type Unit } from "../train/index.ts";
import { loadData } from "./data.ts";
import { readRunConfig } from "./runConfigFile.ts";
import { chosenUnits } from "./units.ts";

/** A run that can start: its data are whole, its sizes fit together, and its folder belongs to it and can be written. */
export interface PreparedRun {
  /** As it stands in config.json. */
  readonly config: RunConfig;
  readonly folder: RunFolder;
  /** Of the configuration's identity: checkpoints carry it. */
  readonly hash: string;
  readonly task: AnyTask;
  readonly data: { readonly name: string };
  readonly method: TrainingMethod;
  /** Those that this process trains. */
  readonly units: readonly Unit[];
  readonly stepsPerEpoch: number;
  /** Updates of each unit. */
  readonly steps: number;
  readonly learningRate: Schedule;
}

export interface PrepareOptions {
  readonly registry: Registry;
  readonly path: string;
  readonly config: RunConfig;
  /**
   * Train only these units, by name or number. The config.json of a run that is there then stays as it is, whatever device, threads or
   * schedule this process uses: others train the other units.
   */
  readonly units?: readonly string[] | undefined;
  /** Refuses, by throwing, a method that cannot be trained as asked; called before anything is written. */
  readonly check?: (method: TrainingMethod) => void;
  readonly onNotice?: ((message: string) => void) | undefined;
  /** What is read, how large it is, and how long it takes. */
  readonly onDetail?: ((message: string) => void) | undefined;
}

/** A run as it would be prepared; nothing is read or written where it is kept. */
export type DescribedRun = Omit<PreparedRun, "folder" | "hash"> & { readonly info: object };

/**
 * Checks all that can be checked before the first step, without a folder.
 *
 * @throws {DataError} for missing or damaged data. {UsageError}, {PartitionError} for sizes that do not fit.
 */
export async function describeRun({
  registry,
  config: asked,
  units: names,
  check,
  onNotice,
  onDetail,
}: Omit<PrepareOptions, "path">): Promise<DescribedRun> {
  const given = withPaths(registry, asked, (relative) => resolve(relative));
  const { task } = resolveConfig(registry, given);
  const started = performance.now();
  const data = (await loadData(task, given.data, { onProgress: readingNotice(onNotice, task.counted), onNotice })) as {
    readonly name: string;
  };
  onDetail?.(`${data.name}: ${task.amountOf(data)}, read in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (given.data.measuredOn === "validation")
    onNotice?.("--measured-on validation: what is called test stands for a validation part; the test part is not read");
  const config: RunConfig = { ...given, $schema: "./config.schema.json", data: { ...given.data, name: data.name } };
  const info = task.infoOf(data);
  const method = buildMethod(registry, config, task.shapeOf(info, config.data), data);
  const { stepsPerEpoch } = task.batches(data, config.data, config.training);
  const units = chosenUnits(method, config, names);
  check?.(method);
  for (const { name, trainable, frozen } of units)
    onDetail?.(
      `${name}: trains ${parameterCount(trainable)} parameters${frozen.size === 0 ? "" : `, reads ${parameterCount(frozen)} others`}`,
    );
  const { steps, learningRate } = buildSchedule(config, stepsPerEpoch);
  return { config, info, task, data, method, units, stepsPerEpoch, steps, learningRate };
}

/**
 * Checks all that can be checked before the first step, and writes config.json, its schema, data.json, partition.json and
 * schedule.json. Nothing is written unless data and sizes fit.
 *
 * @throws what {@link describeRun} throws; {UsageError} for a folder that holds another run. {RunError} if it cannot be written.
 */
export async function prepareRun({ path, ...options }: PrepareOptions): Promise<PreparedRun> {
  const { registry, units: names } = options;
  const { info, ...described } = await describeRun(options);
  const { config, data, method, stepsPerEpoch, steps } = described;
  const folder = await openRun(path, { create: true });
  const isNew = await claim(registry, folder, config, data.name);
  if (isNew || names === undefined) {
    await folder.writeFile("config.schema.json", `${JSON.stringify(configJsonSchema(registry, config.model.name, config.method.name))}\n`);
    await folder.writeFile("data.json", `${JSON.stringify(info)}\n`);
    await folder.writeFile("schedule.json", `${JSON.stringify({ steps, stepsPerEpoch })}\n`);
    await folder.writeConfig(config, { replace: true });
  }
  const partition = partitionFile(method);
  if (partition !== undefined) await folder.writePartition(partition);
  const hash = configHash(identityOf(registry, config, data.name));
  return { ...described, folder, hash };
}

/** Whether the folder is new. @throws {UsageError} if it holds a run that learns something else. */
async function claim(registry: Registry, folder: RunFolder, config: RunConfig, datasetName: string): Promise<boolean> {
  if (!(await folder.hasConfig())) return true;
  const present = await readRunConfig(registry, folder);
  const identity = (one: RunConfig): object => identityOf(registry, one, one.data.name ?? datasetName);
  const keys = differingKeys(identity(present), identity(config));
  if (keys.length === 0) return false;
  throw new UsageError(
    "otherConfig",
    { path: folder.path, keys },
    `${folder.path} holds a run with another configuration; different are: ${keys.join(", ")}. Choose another --run, or give --run ${folder.path} without options to resume it.`,
  );
}

/** Decoding an archive of images and tokenising a large text take minutes: a notice every ten seconds. */
function readingNotice(onNotice: ((message: string) => void) | undefined, counted: string): (count: number, fraction: number) => void {
  let last = performance.now();
  return (count, fraction) => {
    if (performance.now() - last < 10_000) return;
    last = performance.now();
    onNotice?.(`reading ${counted}: ${count}, ${(100 * fraction).toFixed(0)} %`);
  };
}
