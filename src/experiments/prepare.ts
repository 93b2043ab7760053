import { partitionToJSON } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { configHash, differingKeys, openRun, type RunFolder } from "../run/index.ts";
import type { Unit } from "../train/index.ts";
import { buildPartition, buildSchedule } from "./build.ts";
import { isLanguageModel } from "./evaluateText.ts";
import { identityOf, type RunConfig, runConfigSchema, textModels } from "./runConfig.ts";
import { loadData, type Task, taskOf } from "./task.ts";
import { chosenUnits } from "./units.ts";

/** A run that can start: its data are whole, its sizes fit together, and its folder belongs to it and can be written. */
export interface PreparedRun {
  /** As it stands in config.json. */
  readonly config: RunConfig;
  readonly folder: RunFolder;
  /** Of the configuration's identity: what checkpoints carry. */
  readonly hash: string;
  readonly task: Task;
  /** Those that this process trains. */
  readonly units: readonly Unit[];
  /** Updates of each unit. */
  readonly steps: number;
}

export interface PrepareOptions {
  readonly path: string;
  readonly config: RunConfig;
  /**
   * Train only this unit, by name or number. The config.json of a run that is there then stays as it is, whatever device, threads or schedule this
   * process uses: others train the other units.
   */
  readonly unit?: string | undefined;
  readonly onNotice?: ((message: string) => void) | undefined;
}

/**
 * Checks all that can be checked before the first step, and writes config.json and partition.json. Nothing is written unless data and sizes fit.
 *
 * @throws {DataError} for missing or damaged data. {UsageError}, {PartitionError} for sizes that do not fit, or a folder that holds another run.
 *   {RunError} if the folder cannot be written.
 */
export async function prepareRun({ path, config: given, unit, onNotice }: PrepareOptions): Promise<PreparedRun> {
  const data = await loadData(given, { onProgress: readingNotice(onNotice, textModels.includes(given.model) ? "tokens" : "images") });
  const config: RunConfig = { ...given, data: { ...given.data, name: data.name } };
  const task = taskOf(config, data);
  const units = chosenUnits(task.method, config, unit);
  const { steps } = buildSchedule(config, task.stepsPerEpoch);
  const folder = await openRun(path, { create: true });
  const isNew = await claim(folder, config, data.name);
  if (isNew || unit === undefined) await folder.writeConfig(config, { replace: true });
  if (config.method === "blocks") await folder.writePartition(partitionFile(config, task));
  return { config, folder, hash: configHash(identityOf(config, data.name)), task, units, steps };
}

/** Whether the folder is new. @throws {UsageError} if it holds a run that learns something else. */
async function claim(folder: RunFolder, config: RunConfig, datasetName: string): Promise<boolean> {
  if (!(await folder.hasConfig())) return true;
  const present = await folder.readConfig(runConfigSchema);
  const keys = differingKeys(identityOf(present, present.data.name ?? datasetName), identityOf(config, datasetName));
  if (keys.length === 0) return false;
  throw new UsageError(
    "otherConfig",
    { path: folder.path, keys },
    `${folder.path} holds a run with another configuration; different are: ${keys.join(", ")}. Choose another --run, or give --run ${folder.path} without options to go on with it.`,
  );
}

function partitionFile(config: RunConfig, { kind, method }: Task): object {
  const layersPerBlock = config.blocks.layersPerBlock ?? method.units.map(() => config.network.numLayers / method.units.length);
  if (kind === "text" && !isLanguageModel(method)) return { ...method.partition, layersPerBlock };
  const partition = buildPartition(config);
  const { ranges, trainingRanges } = partition;
  return { ...partitionToJSON(partition), ranges, trainingRanges, layersPerBlock };
}

/** Decoding an archive of images and tokenising a large text take minutes: every ten seconds they say how far they are. */
function readingNotice(onNotice: ((message: string) => void) | undefined, what: string): (count: number, fraction: number) => void {
  let last = performance.now();
  return (count, fraction) => {
    if (performance.now() - last < 10_000) return;
    last = performance.now();
    onNotice?.(`reading ${what}: ${count}, ${(100 * fraction).toFixed(0)} %`);
  };
}
