import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { configJsonSchema, identityOf, type Registry } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { CheckpointStore, differingKeys, openRun, type RunFolder } from "../run/index.ts";
import { openTrainedRun, type TrainedRun } from "./trainedRun.ts";

export interface MergeOptions {
  readonly registry: Registry;
  /** Runs of one configuration, each with some of its units. */
  readonly paths: readonly string[];
  /** Where the whole run is put; no run may be there. */
  readonly out: string;
  /** Of a unit that several runs hold at different steps, take the one that came furthest; refused by default. */
  readonly newest?: boolean;
}

/** Where a unit of a merged run comes from. */
export interface MergedUnit {
  readonly unit: string;
  /** The run that it was taken from, and the step of its newest whole checkpoint. */
  readonly path: string;
  readonly step: number;
}

export interface MergedRun {
  readonly units: readonly MergedUnit[];
  /** Units that none of the runs holds. */
  readonly missing: readonly string[];
}

/** A unit as one of the runs holds it. */
interface Copy extends MergedUnit {
  readonly run: TrainedRun;
  readonly file: string;
}

/**
 * Puts units that were trained in several run folders, on whatever machines, into one run. Configuration, data and noise ranges must be
 * the same in all of them. The runs are only read; what is written is complete once its config.json is there.
 *
 * @throws {UsageError} `otherConfig` if the runs do not belong together; `runThere` if `out` holds a run; `twoCopies` for a unit of which
 *   there are different states, unless `newest` chooses.
 * @throws {RunError} if a run is missing, or `out` cannot be written.
 */
export async function mergeRuns({ registry, paths, out, newest = false }: MergeOptions): Promise<MergedRun> {
  const runs: TrainedRun[] = [];
  for (const path of paths) runs.push(await openTrainedRun(registry, path));
  const first = runs[0]!;
  for (const run of runs) await checkBelongs(registry, first, run);
  const chosen: Copy[] = [];
  for (const { name } of first.method.units) {
    const copies: Copy[] = [];
    for (const run of runs) copies.push(...(await copiesIn(run, name)));
    if (copies.length > 0) chosen.push(await chooseCopy(copies, newest));
  }
  const folder = await openRun(out, { create: true });
  if (await folder.hasConfig())
    throw new UsageError("runThere", { out }, `There is a run in ${out}. Merge into a folder that holds none: --out PATH.`);
  for (const copy of chosen) await copyUnit(copy, folder);
  await copyDescription(registry, first, folder);
  const units = chosen.map(({ unit, path, step }) => ({ unit, path, step }));
  return { units, missing: first.method.units.map(({ name }) => name).filter((name) => !units.some(({ unit }) => unit === name)) };
}

/** @throws {UsageError} if a run learns something else than the first one, from other data, or in other noise ranges. */
async function checkBelongs(registry: Registry, first: TrainedRun, run: TrainedRun): Promise<void> {
  const identity = ({ config, info }: TrainedRun): object => identityOf(registry, config, config.data.name ?? info.name);
  const partition = async ({ method, folder }: TrainedRun): Promise<unknown> =>
    method.partition === undefined ? undefined : await folder.readPartition();
  const keys = [
    ...differingKeys(identity(first), identity(run)),
    ...differingKeys(first.info, run.info, "data"),
    ...differingKeys(await partition(first), await partition(run), "partition"),
  ];
  if (keys.length === 0) return;
  const message = `${run.folder.path} does not belong to ${first.folder.path}; different are: ${keys.join(", ")}. Merge runs of one configuration.`;
  throw new UsageError("otherConfig", { path: run.folder.path, keys }, message);
}

/** The unit in a run, if it has a checkpoint that is whole. */
async function copiesIn(run: TrainedRun, unit: string): Promise<Copy[]> {
  const store = CheckpointStore.forReading({ folder: run.folder.unitFolder(unit), unit, configHash: run.hash });
  const checkpoint = await store.load();
  return checkpoint === undefined ? [] : [{ run, unit, path: run.folder.path, step: checkpoint.step, file: checkpoint.path }];
}

/** The one copy, or the newest. @throws {UsageError} `twoCopies` for states that differ. */
async function chooseCopy(copies: readonly Copy[], newest: boolean): Promise<Copy> {
  const [first, ...others] = [...copies].sort((a, b) => b.step - a.step) as [Copy, ...Copy[]];
  const { unit } = first;
  const bytes = await readFile(first.file);
  for (const other of others) {
    if (other.step < first.step) {
      if (newest) continue;
      const message = `${unit} is in two runs: at step ${first.step} in ${first.path}, which is newer, and at step ${other.step} in ${other.path}. --newest takes the newer one.`;
      throw new UsageError("twoCopies", { unit, paths: [first.path, other.path] }, message);
    }
    if (bytes.equals(await readFile(other.file))) continue;
    const message = `${unit} is in ${first.path} and in ${other.path}, both at step ${first.step}, with different values: it was trained twice. Leave one of the runs out.`;
    throw new UsageError("twoCopies", { unit, paths: [first.path, other.path] }, message);
  }
  return first;
}

/** The checkpoints of a unit, and its part of the log. */
async function copyUnit({ run, unit, file }: Copy, folder: RunFolder): Promise<void> {
  const from = run.folder.unitFolder(unit);
  let time = 0;
  const log = await folder.openMetrics({ unit, now: () => time });
  try {
    for (const record of await run.folder.readMetrics()) {
      if (record.unit !== unit) continue;
      time = record.time;
      log.write(unit, record.step, record.values);
    }
    log.sync();
  } finally {
    log.close();
  }
  const older = (await readdir(from)).filter((name) => /^step-\d+\.safetensors$/.test(name) && name < basename(file)).sort();
  for (const name of [...older, basename(file)]) await folder.writeFile(join(unit, name), await readFile(join(from, name)));
}

/** What describes a run, its config.json last. */
async function copyDescription(registry: Registry, { config, method, info, folder }: TrainedRun, out: RunFolder): Promise<void> {
  if (method.partition !== undefined) await out.writePartition((await folder.readPartition()) as object);
  await out.writeDataInfo(info);
  await out.writeFile("config.schema.json", `${JSON.stringify(configJsonSchema(registry, config.model.name, config.method.name))}\n`);
  await out.writeConfig(config);
}
