import { runPool } from "../cluster/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { cpuCount } from "../runtime/index.ts";
import { prepareRun } from "./prepare.ts";
import type { RunConfig } from "./runConfig.ts";

export interface TrainBlocksInProcessesOptions {
  readonly path: string;
  readonly config: RunConfig;
  /** The command line's script: each process is its `train --block N` on the same run folder. */
  readonly script: string;
  readonly onLine: (block: string, line: string) => void;
  readonly onNotice?: (message: string) => void;
  /** Passed on to every process: each saves and ends. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains every block in a process of its own, all at once, each with its share of the threads; they exchange nothing. What is wrong with data or
 * options is found here, once, before any process starts.
 *
 * @throws {UsageError} if the method's units cannot be trained alone.
 * @throws {RunError} if a process failed, naming each that did; the others' blocks are trained and saved.
 */
export async function trainBlocksInProcesses({
  path,
  config,
  script,
  onLine,
  onNotice,
  signal,
}: TrainBlocksInProcessesOptions): Promise<void> {
  if (config.method !== "blocks") {
    const message = `--schedule parallel trains blocks; ${config.method} has one unit. Leave --schedule out.`;
    throw new UsageError("notBlocks", { method: config.method }, message);
  }
  const { shared } = config.blocks;
  if (shared !== "owned" && shared !== "frozen") {
    const message =
      "--schedule parallel: these blocks train parameters in common, so no process can train one alone. Use --shared owned or frozen, or --schedule interleaved.";
    throw new UsageError("sharedParameters", { shared }, message);
  }
  const {
    task: { method },
  } = await prepareRun({ path, config, onNotice });
  const threads = Math.max(1, Math.floor((config.execution.threads ?? cpuCount()) / method.units.length));
  const tasks = method.units.map(({ name }) => ({
    name,
    args: ["train", config.model, "--run", path, "--block", name, "--threads", String(threads)],
  }));
  const results = await runPool({ script, tasks, onLine, signal });
  if (signal?.aborted) return;
  const failed = Object.entries(results).filter(([, { code }]) => code !== 0);
  if (failed.length === 0) return;
  const codes = Object.fromEntries(failed.map(([name, { code }]) => [name, code]));
  const list = failed.map(([name, { code }]) => `${name} ended with exit code ${code}`).join("; ");
  const message = `${list}. The reason stands above; the other blocks are saved, and the same command goes on.`;
  throw new RunError("blocksFailed", { codes }, message);
}
