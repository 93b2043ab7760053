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
  /** See {@link prepareRun}. */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
  /** More arguments of each process: plugins. */
  readonly args?: readonly string[];
  readonly onLine: (unit: string, line: string) => void;
  readonly onNotice?: (message: string) => void;
  /** Units trained at once; by default all. The threads are divided among them. */
  readonly limit?: number | undefined;
  /** Passed on to every process: each saves and ends. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains every unit in a process of its own, each with its share of the threads; they exchange nothing. What is wrong with data or
 * options is found here, once, before any process starts. A process that is killed or crashes is started again from its unit's newest
 * checkpoint, up to three times, while the others go on.
 *
 * @throws {UsageError} if the method's units cannot be trained alone.
 * @throws {RunError} if a process failed, naming each that did; the others' units are trained and saved.
 */
export async function trainUnitsInProcesses(options: TrainUnitsInProcessesOptions): Promise<void> {
  const { registry, path, config, script, args = [], onLine, onNotice, limit, overrides, signal } = options;
  const { method } = await prepareRun({ registry, path, config, overrides, onNotice, check: (one) => checkApart(one, config) });
  const atOnce = Math.min(limit ?? method.units.length, method.units.length);
  const threads = Math.max(1, Math.floor((config.execution.threads ?? cpuCount()) / atOnce));
  const tasks = method.units.map(({ name }) => ({
    name,
    args: ["train", config.model.name, "--run", path, "--block", name, "--threads", String(threads), ...args],
  }));
  const onRestart = (name: string, code: number): void =>
    onNotice?.(`${name} was killed (exit code ${code}) and is started again from its newest checkpoint.`);
  const results = await runPool({ script, tasks, limit: atOnce, restarts: 3, onRestart, onLine, signal });
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
export function checkApart(method: TrainingMethod, config: RunConfig): void {
  if (method.units.length === 1) {
    const message = `Units are trained apart, and ${method.name} has one. Leave out --schedule parallel, --parallel or launch.`;
    throw new UsageError("notBlocks", { method: method.name }, message);
  }
  const { kind } = method.order;
  if (kind === "independent") return;
  const why = kind === "sequential" ? "each unit is trained on the finished ones before it" : sharedParameters(method, config);
  const message = `Units cannot be trained apart: ${why}, so no process can train one alone. Use --shared owned or frozen, or --schedule ${kind}.`;
  throw new UsageError("sharedParameters", { method: method.name }, message);
}
