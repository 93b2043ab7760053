import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runPool } from "../cluster/index.ts";
import type { RunConfig } from "../define/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { exitCodes, type RunFolder } from "../run/index.ts";
import type { TrainRunResult } from "../runs/index.ts";

/** How runs of a study are trained: each is the command line's `train` in a process of its own. */
export interface OwnProcesses {
  /** The command line's script. */
  readonly script: string;
  /** More arguments of each process: plugins. */
  readonly args?: readonly string[] | undefined;
  /** Called with each line that a run writes while it trains. */
  readonly onLine?: ((name: string, line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A run of a study. */
export interface OwnRun {
  readonly name: string;
  readonly config: RunConfig;
  readonly folder: RunFolder;
}

/**
 * What a command prints, in a process of its own; undefined if it was stopped.
 *
 * @throws {RunError} `diverged` if a loss was not finite, `runFailed` for another failure.
 */
export async function callAlone(processes: OwnProcesses, name: string, words: readonly string[]): Promise<string | undefined> {
  const { script, args = [], onLine = () => {}, signal } = processes;
  const { code, output } = (await runPool({ script, tasks: [{ name, args: [...words, ...args] }], onLine, signal }))[name]!;
  if (signal?.aborted) return undefined;
  if (code === 0) return output;
  const message = `${name} ended with exit code ${code}; the reason stands above. The other runs are kept: the same command resumes.`;
  throw new RunError(code === exitCodes.diverged ? "diverged" : "runFailed", { name, code }, message);
}

/** Trains a run, or resumes it; undefined if it was stopped. @throws what {@link callAlone} throws. */
export async function trainAlone(processes: OwnProcesses, { name, config, folder }: OwnRun): Promise<TrainRunResult | undefined> {
  const file = await folder.writeFile("options.json", `${JSON.stringify(config, null, 2)}\n`);
  const words = ["train", config.model.name, "--method", config.method.name, "--config", file, "--run", folder.path, "--json"];
  const output = await callAlone(processes, name, words);
  return output === undefined ? undefined : (JSON.parse(output) as TrainRunResult);
}

/** Keeps what came of a run in its folder, with the hash of what it was made with. */
export async function writeRow(folder: RunFolder, hash: string, run: object): Promise<void> {
  await folder.writeFile("row.json", `${JSON.stringify({ hash, run }, null, 2)}\n`);
}

/** What a finished run left. @throws {UsageError} if it was made with another configuration. */
export async function readRow<Row>(folder: RunFolder, hash: string): Promise<Row | undefined> {
  const text = await readFile(join(folder.path, "row.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const row = JSON.parse(text) as { hash: string; run: Row };
  if (row.hash === hash) return row.run;
  const message = `${folder.path} holds a run with another configuration. Choose another --run, or repeat the options it was made with.`;
  throw new UsageError("otherConfig", { path: folder.path }, message);
}
