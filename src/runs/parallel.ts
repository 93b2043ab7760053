import { runPool } from "../cluster/index.ts";
import type { Registry, RunConfig } from "../define/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { cpuCount } from "../runtime/node.ts";
import type { TrainingMethod } from "../train/index.ts";
import { prepareRun } from "./prepare.ts";
import { sharedParameters } from "./units.ts";

export interface TrainUnitsInProcessesOptions {
  readonly registry: Registry;
  readonly path: string;
  readonly config: RunConfig;
  /** The command line's script: each process is its `train --block N` on the same run folder. */
  readonly script: string;
  /** More arguments of each process: plugins. */
  readonly args?: readonly string[];
  readonly onLine: (unit: string, line: string) => void;
  readonly onNotice?: (message: string) => void;
  /** Passed on to every process: each saves and ends. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains every unit in a process of its own, all at once, each with its share of the threads; they exchange nothing. What is wrong with
 * data or options is found here, once, before any process starts.
 *
 * @throws {UsageError} if the method's units cannot be trained alone.
 * @throws {RunError} if a process failed, naming each that did; the others' units are trained and saved.
 */
export async function trainUnitsInProcesses(options: TrainUnitsInProcessesOptions): Promise<void> {
  const { registry, path, config, script, args = [], onLine, onNotice, signal } = options;
  const { method } = await prepareRun({ registry, path, config, onNotice, check: (one) => checkApart(one, config) });
  const threads = Math.max(1, Math.floor((config.execution.threads ?? cpuCount()) / method.units.length));
  const tasks = method.units.map(({ name }) => ({
    name,
    args: ["train", config.model.name, "--run", path, "--block", name, "--threads", String(threads), ...args],
  }));
  const results = await runPool({ script, tasks, onLine, signal });
  if (signal?.aborted) return;
  const failed = Object.entries(results).filter(([, { code }]) => code !== 0);
  if (failed.length === 0) return;
  const codes = Object.fromEntries(failed.map(([name, { code }]) => [name, code]));
  const list = failed.map(([name, { code }]) => `${name} ended with exit code ${code}`).join("; ");
  throw new RunError(
    "blocksFailed",
    { codes },
    `${list}. The reason stands above; the other blocks are saved, and the same command resumes.`,
  );
}

/** @throws {UsageError} unless units can be trained apart. */
function checkApart(method: TrainingMethod, config: RunConfig): void {
  if (method.units.length === 1) {
    const message = `--schedule parallel trains units apart; ${method.name} has one. Leave --schedule out.`;
    throw new UsageError("notBlocks", { method: method.name }, message);
  }
  const { kind } = method.order;
  if (kind === "independent") return;
  const why = kind === "sequential" ? "each unit is trained on the finished ones before it" : sharedParameters(method, config);
  const message = `--schedule parallel: ${why}, so no process can train one alone. Use --shared owned or frozen, or --schedule ${kind}.`;
  throw new UsageError("sharedParameters", { method: method.name }, message);
}
