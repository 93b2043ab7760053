import { readdirSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Registry, RunConfig } from "../define/index.ts";
import { DiffusionBlocksError, RunError, UsageError } from "../errors.ts";
import { openRun, ownerOf } from "../run/index.ts";
import { runStatus, type UnitStatus } from "../runs/index.ts";
import type { MetricRecord } from "../train/index.ts";

/** A run of a folder of runs, as a list shows it. */
export interface LiveRun {
  /** Its folder, from the folder of runs on: "vit", "compare/blocks-0". */
  readonly name: string;
  readonly model: string;
  readonly method: string;
  readonly data: string;
  readonly state: "running" | "trained" | "stopped" | "not started" | "damaged";
  readonly units: readonly UnitStatus[];
  /** Why it cannot be read. */
  readonly fault?: string;
  readonly hasReport: boolean;
  /** Another number whenever its files have changed. */
  readonly version: number;
}

/** A run with what was measured. */
export interface LiveRunDetails {
  readonly name: string;
  readonly config: unknown;
  /** The newest, at most {@link mostRecords}. */
  readonly records: readonly MetricRecord[];
}

/** Records of a run that are sent at once. */
export const mostRecords = 20_000;
/** Folders that are looked into, below the folder of runs. */
const depth = 3;
const mostRuns = 500;

/** Runs of a folder, read again only where their files have changed. */
export class LiveRuns {
  readonly folder: string;
  readonly #registry: Registry;
  readonly #known = new Map<string, { readonly stamp: string; readonly run: LiveRun }>();

  /** @throws {RunError} `noRuns` if there is no such folder. */
  constructor(folder: string, registry: Registry) {
    this.folder = folder;
    this.#registry = registry;
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new RunError("noRuns", { folder }, `There is no folder ${folder}. Give the one in which your runs are, such as runs.`);
  }

  /** All runs, by name. */
  async list(): Promise<readonly LiveRun[]> {
    const runs: LiveRun[] = [];
    for (const name of this.#names()) {
      const stamp = stampOf(join(this.folder, name));
      const known = this.#known.get(name);
      if (known !== undefined && known.stamp === stamp && known.run.state !== "running") {
        runs.push(known.run);
        continue;
      }
      const run = await this.#read(name, (known?.run.version ?? 0) + (known?.stamp === stamp ? 0 : 1));
      this.#known.set(name, { stamp, run });
      runs.push(run);
    }
    return runs;
  }

  /** @throws {RunError} `noRun` for a name that {@link LiveRuns.list} does not give. */
  async details(name: string): Promise<LiveRunDetails> {
    const folder = await openRun(this.pathOf(name));
    return { name, config: await folder.readConfig(), records: (await folder.readMetrics()).slice(-mostRecords) };
  }

  /** The folder of a run that there is. No other name leads anywhere. @throws {RunError} `noRun` */
  pathOf(name: string): string {
    if (this.#names().includes(name)) return join(this.folder, name);
    throw new RunError("noRun", { name }, `There is no run ${JSON.stringify(name.slice(0, 100))} here.`);
  }

  /**
   * Asks the processes of this machine that train a run to save and to end.
   *
   * @returns how many were asked.
   * @throws {UsageError} `notRunning` if there are none.
   */
  async stop(name: string): Promise<number> {
    const path = this.pathOf(name);
    const run = (await this.list()).find((one) => one.name === name);
    const pids = new Set<number>();
    for (const { unit, state } of run?.units ?? []) {
      const owner = await ownerOf(join(path, unit));
      if (state === "running" && owner?.host === hostname()) pids.add(owner.pid);
    }
    if (pids.size === 0) throw new UsageError("notRunning", { name }, `No process of this machine trains ${name}.`);
    for (const pid of pids) process.kill(pid, "SIGTERM");
    return pids.size;
  }

  async #read(name: string, version: number): Promise<LiveRun> {
    const path = join(this.folder, name);
    const hasReport = statSync(join(path, "report.html"), { throwIfNoEntry: false })?.isFile() ?? false;
    try {
      const { model, method, data } = (await (await openRun(path)).readConfig()) as RunConfig;
      const units = await runStatus(this.#registry, path);
      return {
        name,
        model: model.name,
        method: method.name,
        data: data.name ?? data.path,
        state: stateOf(units),
        units,
        hasReport,
        version,
      };
    } catch (error) {
      const fault = error instanceof DiffusionBlocksError ? error.message : String(error);
      return { name, model: "", method: "", data: "", state: "damaged", units: [], fault, hasReport, version };
    }
  }

  #names(): readonly string[] {
    const names: string[] = [];
    const visit = (name: string, level: number): void => {
      const entries = readdirSync(join(this.folder, name), { withFileTypes: true });
      if (name !== "" && entries.some((entry) => entry.isFile() && entry.name === "config.json")) names.push(name);
      else if (level < depth)
        for (const entry of entries)
          if (entry.isDirectory() && !entry.name.startsWith(".") && names.length < mostRuns)
            visit(name === "" ? entry.name : `${name}/${entry.name}`, level + 1);
    };
    visit("", 0);
    return names.sort(new Intl.Collator("en", { numeric: true }).compare);
  }
}

function stateOf(units: readonly UnitStatus[]): LiveRun["state"] {
  const states = units.map(({ state }) => state);
  if (states.includes("running")) return "running";
  if (states.every((state) => state === "trained")) return "trained";
  return states.every((state) => state === "not started") ? "not started" : "stopped";
}

/** Changes with the files of a run and of its units. */
function stampOf(path: string): string {
  const stamps: string[] = [];
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const { mtimeMs, size } = statSync(join(path, entry.name), { throwIfNoEntry: false }) ?? { mtimeMs: 0, size: 0 };
    stamps.push(`${entry.name} ${mtimeMs} ${size}`);
    if (!entry.isDirectory()) continue;
    const log = statSync(join(path, entry.name, "metrics.jsonl"), { throwIfNoEntry: false });
    if (log !== undefined) stamps.push(`${log.mtimeMs} ${log.size}`);
  }
  return stamps.join("\n");
}
