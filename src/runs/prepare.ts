import { resolve } from "node:path";
import {
  type AnyTask,
  buildMethod,
  buildSchedule,
  configJsonSchema,
  identityOf,
  newOverrides,
  type Override,
  overridablePaths,
  partitionFile,
  type Registry,
  type RunConfig,
  resolveConfig,
  type UnitLearningRate,
  withPaths,
} from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { CheckpointStore, configHash, differingKeys, openRun, type RunFolder } from "../run/index.ts";
import { isPublished } from "../sources/index.ts";
import { parameterCount, scheduleFor, type TrainingMethod, type Unit } from "../train/index.ts";
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
  readonly learningRate: UnitLearningRate;
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
  /** Settings that a run which is there goes on with, by path: "training.learningRate". */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
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
  const given = withPaths(registry, asked, (path) => (isPublished(path) ? path : resolve(path)));
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
export async function prepareRun({ path, overrides = {}, ...options }: PrepareOptions): Promise<PreparedRun> {
  const { registry, units: names } = options;
  const present = await presentRun(registry, path);
  const { info, ...described } = await describeRun({ ...options, config: { ...options.config, overrides: present?.overrides } });
  const { data, method, stepsPerEpoch } = described;
  const folder = await openRun(path, { create: true });
  const isNew = await claim(registry, folder, described.config, data.name);
  const hash = configHash(identityOf(registry, described.config, data.name));
  const added = newOverrides(registry, described.config, overrides);
  const changes = Object.keys(added).length === 0 ? [] : [await overrideFrom({ added, folder, hash, isNew, described, names })];
  const config = { ...described.config, ...(changes.length > 0 && { overrides: [...(present?.overrides ?? []), ...changes] }) };
  const { steps, learningRate } = buildSchedule(config, stepsPerEpoch);
  for (const { from } of changes) {
    const made = Math.max(...Object.values(from));
    if (made <= steps) continue;
    const message = `--override: a unit has made ${made} steps already, more than ${steps}. Give more epochs.`;
    throw new UsageError("override", { made, steps }, message);
  }
  if (isNew || names === undefined) {
    await folder.writeFile("config.schema.json", `${JSON.stringify(configJsonSchema(registry, config.model.name, config.method.name))}\n`);
    await folder.writeDataInfo(info);
    await folder.writeSchedule({ steps, stepsPerEpoch });
    await folder.writeConfig(config, { replace: true });
  }
  const partition = partitionFile(method);
  if (partition !== undefined) await folder.writePartition(partition);
  return { ...described, config, steps, learningRate, folder, hash };
}

/** The configuration of the run that is in a folder, if there is one. */
async function presentRun(registry: Registry, path: string): Promise<RunConfig | undefined> {
  const folder = await openRun(path).catch(() => undefined);
  return folder !== undefined && (await folder.hasConfig()) ? readRunConfig(registry, folder) : undefined;
}

interface OverrideOptions {
  readonly added: Readonly<Record<string, unknown>>;
  readonly folder: RunFolder;
  readonly hash: string;
  readonly isNew: boolean;
  readonly described: Omit<DescribedRun, "info">;
  readonly names: readonly string[] | undefined;
}

/** Settings with the steps that each unit resumes from, at which they begin to hold. */
async function overrideFrom({ added, folder, hash, isNew, described, names }: OverrideOptions): Promise<Override> {
  const { method, config } = described;
  if (isNew || names !== undefined) {
    const why = isNew ? `there is no run in ${folder.path} yet` : "a run goes on as a whole";
    const message = `--override: ${why}. ${isNew ? "Give the settings themselves, e.g. --lr." : "Leave --block and --units out."}`;
    throw new UsageError("override", { path: folder.path }, message);
  }
  const steps: [string, number][] = [];
  for (const { name: unit } of method.units) {
    const store = CheckpointStore.forReading({ folder: folder.unitFolder(unit), unit, configHash: hash });
    steps.push([unit, (await store.load())?.step ?? 0]);
  }
  const schedule = config.execution.schedule === "interleaved" ? "interleaved" : "sequential";
  const together = method.order.kind !== "independent" && scheduleFor(method.order, schedule) === "interleaved";
  const least = Math.min(...steps.map(([, step]) => step));
  return { values: added, from: Object.fromEntries(steps.map(([unit, step]) => [unit, together ? least : step])) };
}

/** Whether the folder is new. @throws {UsageError} if it holds a run that learns something else. */
async function claim(registry: Registry, folder: RunFolder, config: RunConfig, datasetName: string): Promise<boolean> {
  if (!(await folder.hasConfig())) return true;
  const present = await readRunConfig(registry, folder);
  const identity = (one: RunConfig): object => identityOf(registry, one, one.data.name ?? datasetName);
  const keys = differingKeys(identity(present), identity(config));
  if (keys.length === 0) return false;
  const changeable = overridablePaths(registry, config);
  const advice = keys.every((key) => changeable.includes(key))
    ? ` To go on with another value: dblocks train ${config.model.name} --run ${folder.path} --override ${keys.map((key) => `${key}=…`).join(" ")}`
    : "";
  throw new UsageError(
    "otherConfig",
    { path: folder.path, keys },
    `${folder.path} holds a run with another configuration; different are: ${keys.join(", ")}. Choose another --run, or give --run ${folder.path} without options to resume it.${advice}`,
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
