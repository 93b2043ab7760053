import { randomUUID } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { RunError, UsageError } from "../errors.ts";
import { openSealedJson, sealJson } from "../formats/index.ts";
import type { MetricRecord } from "../train/index.ts";
import { configHash, differingKeys } from "./config.ts";
import {
  cannotRead,
  cannotWrite,
  disk,
  errorCode,
  type FileSystem,
  makeFolder,
  readText,
  removeTemporaries,
  writeAtomic,
} from "./fileSystem.ts";
import { damagedMetrics, MetricsLog, type MetricsOptions, readMetrics } from "./metrics.ts";

const hourMs = 3_600_000;
const unitName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Opens the folder of a run: config.json, partition.json, a folder for each unit, metrics.jsonl, report.html.
 *
 * @param options.create makes the folder if it is missing and checks now, not after an hour of training, that it can be written.
 *   Without it the run is only read.
 * @throws {RunError} `noRun` if there is none, `noPermission`, `diskFull`, ... if it cannot be written.
 */
export async function openRun(path: string, { create = false, fs = disk }: { create?: boolean; fs?: FileSystem } = {}): Promise<RunFolder> {
  if (create) {
    await makeFolder(path, fs);
    const probe = join(path, `.writable-${randomUUID()}.tmp`); // blocks in processes of their own open one folder at the same time
    await writeAtomic(probe, "", fs);
    await fs.unlink(probe).catch((cause: unknown) => {
      throw cannotWrite(probe, cause);
    });
    await removeTemporaries(path, { fs, olderThanMs: hourMs });
    return new RunFolder(path, fs);
  }
  try {
    await fs.readdir(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw cannotRead(path, error);
    throw new RunError("noRun", { path }, `There is no run in ${path}. Check the path; "dblocks train --run ${path}" starts one.`, {
      cause: error,
    });
  }
  return new RunFolder(path, fs);
}

const runSchedule = z.object({ steps: z.int().min(1), stepsPerEpoch: z.int().min(1) });
/** How long a run is. */
export type RunSchedule = z.output<typeof runSchedule>;

/** A run on disk. Small files are replaced as a whole: a reader finds the old content or the new one. */
export class RunFolder {
  readonly path: string;
  /** The disk that it lies on. */
  readonly fs: FileSystem;

  constructor(path: string, fs: FileSystem = disk) {
    this.path = path;
    this.fs = fs;
  }

  /**
   * Writes config.json. A run keeps its configuration: another one would turn its checkpoints into foreign ones.
   *
   * @param options.replace writes it all the same.
   * @throws {UsageError} `otherConfig` if the folder holds a run with another configuration, naming the keys that differ.
   */
  async writeConfig(config: object, { replace = false }: { replace?: boolean } = {}): Promise<void> {
    const present = replace ? undefined : await this.#readJson("config.json");
    if (present !== undefined) {
      if (configHash(present) === configHash(config)) return;
      const keys = differingKeys(present, config);
      throw new UsageError(
        "otherConfig",
        { path: this.path, keys },
        `${this.path} holds a run with another configuration; different are: ${keys.join(", ")}. Choose another --run, or repeat the run's own options to continue it.`,
      );
    }
    await this.#writeJson("config.json", config);
  }

  /**
   * The content of config.json.
   *
   * @throws {RunError} `noConfig` if it is missing.
   * @throws {FormatError} if it is not JSON or gives a key twice.
   */
  readConfig(): Promise<unknown> {
    return this.#readPresent("config.json");
  }

  /** Whether the folder holds a run already. */
  async hasConfig(): Promise<boolean> {
    return (await readText(join(this.path, "config.json"), this.fs)) !== undefined;
  }

  /** Writes partition.json: the noise ranges and the layers of each block. */
  writePartition(partition: object): Promise<void> {
    return this.#writeSealed("partition.json", partition);
  }

  /** Writes data.json: what a trained model must know of its data. */
  writeDataInfo(info: object): Promise<void> {
    return this.#writeSealed("data.json", info);
  }

  /** Writes schedule.json. */
  writeSchedule(schedule: RunSchedule): Promise<void> {
    return this.#writeSealed("schedule.json", schedule);
  }

  /** Writes evaluation.json. */
  writeEvaluation(evaluation: object): Promise<void> {
    return this.#writeSealed("evaluation.json", evaluation);
  }

  /** The content of partition.json; errors as {@link RunFolder.readConfig}. */
  readPartition(): Promise<unknown> {
    return this.#readPresent("partition.json");
  }

  /** The content of data.json: what a trained model must know of its data; errors as {@link RunFolder.readConfig}. */
  readDataInfo(): Promise<unknown> {
    return this.#readPresent("data.json");
  }

  /** The content of schedule.json: updates of each unit, and batches of an epoch; undefined for runs that have none. */
  async readSchedule(): Promise<RunSchedule | undefined> {
    const value = await this.#readJson("schedule.json");
    return value === undefined ? undefined : runSchedule.parse(value);
  }

  /** The content of evaluation.json: undefined where the run was not evaluated. */
  readEvaluation(): Promise<unknown> {
    return this.#readJson("evaluation.json");
  }

  /** Writes report.html and returns its path. */
  async writeReport(html: string): Promise<string> {
    return this.writeFile("report.html", html);
  }

  /** Writes any other file of the run, e.g. "samples.png" or "launch/blocks.sbatch", and returns its path. */
  async writeFile(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await makeFolder(dirname(path), this.fs);
    await writeAtomic(path, content, this.fs);
    return path;
  }

  /** The text of any other file of the run; undefined if it is not there. */
  readFile(name: string): Promise<string | undefined> {
    return readText(join(this.path, name), this.fs);
  }

  /** The folder of a unit, e.g. "block-0", or "network" for end-to-end training. */
  unitFolder(unit: string): string {
    if (!unitName.test(unit))
      throw new RunError(
        "unitName",
        { unit },
        `"${unit}" cannot be the name of a unit: its folder would be ${relative(this.path, join(this.path, unit)) || "the run itself"}. Use letters, digits, ".", "_" and "-".`,
      );
    return join(this.path, unit);
  }

  /** The units of which there are checkpoints, block-2 before block-10. */
  async units(): Promise<string[]> {
    const units: string[] = [];
    for (const name of await this.#list(this.path)) {
      if (!unitName.test(name)) continue;
      const files = await this.#list(join(this.path, name));
      if (files.some((file) => /^step-\d+\.safetensors$/.test(file))) units.push(name);
    }
    return units.sort(new Intl.Collator("en", { numeric: true }).compare);
  }

  /** Opens metrics.jsonl of the run, or, for a unit that a process of its own trains, the one in the unit's folder. */
  openMetrics(options: MetricsOptions & { unit?: string } = {}): Promise<MetricsLog> {
    const { unit, ...rest } = options;
    return MetricsLog.open(unit === undefined ? this.path : this.unitFolder(unit), { fs: this.fs, ...rest });
  }

  /** All records of the run: its own log's, then those of its units' logs. */
  async readMetrics(): Promise<MetricRecord[]> {
    return readMetrics(await this.#logFolders(), this.fs);
  }

  /** Which lines of these logs are damaged, in words; undefined if none is. */
  async damagedMetrics(): Promise<string | undefined> {
    return damagedMetrics(await this.#logFolders(), this.fs);
  }

  async #logFolders(): Promise<string[]> {
    const names = (await this.#list(this.path))
      .filter((name) => unitName.test(name))
      .sort(new Intl.Collator("en", { numeric: true }).compare);
    const folders: string[] = [];
    for (const name of names) if ((await this.#list(join(this.path, name))).includes("metrics.jsonl")) folders.push(join(this.path, name));
    return [this.path, ...folders];
  }

  async #list(folder: string): Promise<string[]> {
    try {
      return await this.fs.readdir(folder);
    } catch (error) {
      if (errorCode(error) === "ENOTDIR" || errorCode(error) === "ENOENT") return [];
      throw cannotRead(folder, error);
    }
  }

  async #readPresent(name: string): Promise<unknown> {
    const value = await this.#readJson(name);
    if (value !== undefined) return value;
    throw new RunError("noConfig", { path: this.path, name }, `${this.path} has no ${name}: it is no run, or one that never started.`);
  }

  async #readJson(name: string): Promise<unknown> {
    const path = join(this.path, name);
    const text = await readText(path, this.fs);
    return text === undefined ? undefined : openSealedJson(text, path);
  }

  async #writeJson(name: string, value: object): Promise<void> {
    await writeAtomic(join(this.path, name), `${JSON.stringify(value, null, 2)}\n`, this.fs);
  }

  async #writeSealed(name: string, value: object): Promise<void> {
    await writeAtomic(join(this.path, name), sealJson(value), this.fs);
  }
}
