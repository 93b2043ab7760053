import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";

/** One process of a pool: a name for its output, and the arguments for this program. */
export interface PoolTask {
  readonly name: string;
  readonly args: readonly string[];
}

export interface PoolOptions {
  /** The script that each process runs, with Node's own executable. */
  readonly script: string;
  readonly tasks: readonly PoolTask[];
  /** Processes at once; all by default. */
  readonly limit?: number | undefined;
  /**
   * How often a process is started again that did not end by itself: one that was killed, by the system where memory is short, or that
   * crashed. 0 by default.
   */
  readonly restarts?: number;
  /** Called when a process is started again. */
  readonly onRestart?: (name: string, code: number) => void;
  /** Called with each line that a process writes to stderr. */
  readonly onLine: (name: string, line: string) => void;
  /** Passed on to every process as SIGINT: each saves and ends. */
  readonly signal?: AbortSignal | undefined;
}

/** The end of a process: its exit code, 128 + n for one that a signal ended, and what it wrote to stdout. */
export interface PoolResult {
  readonly code: number;
  readonly output: string;
}

/**
 * Runs all tasks, each in a process of its own that exchanges nothing with the others, and returns how they ended, by
 * name; one that is not started after the signal is not in the result. None outlives this process: each is ended when
 * it exits, and a channel that closes tells those of a process that was killed.
 */
export async function runPool(options: PoolOptions): Promise<Record<string, PoolResult>> {
  const { script, tasks, limit = tasks.length, restarts = 0, onRestart, onLine, signal } = options;
  const children = new Set<ChildProcess>();
  const endAll = (): void => children.forEach((child) => void child.kill("SIGTERM"));
  process.once("exit", endAll);
  try {
    const run = async ({ name, args }: PoolTask): Promise<PoolResult> => {
      const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
      children.add(child);
      const stop = (): void => void child.kill("SIGINT");
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
      createInterface({ input: child.stderr! }).on("line", (line) => onLine(name, line));
      const output: Buffer[] = [];
      child.stdout!.on("data", (chunk: Buffer) => output.push(chunk));
      try {
        const code = await exitCode(child);
        return { code, output: Buffer.concat(output).toString("utf8") };
      } finally {
        children.delete(child);
        signal?.removeEventListener("abort", stop);
      }
    };
    const results: Record<string, PoolResult> = {};
    const queue = [...tasks];
    const work = async (): Promise<void> => {
      for (let task = queue.shift(); task !== undefined && !signal?.aborted; task = queue.shift()) {
        let result = await run(task);
        for (let left = restarts; left > 0 && wasKilled(result.code) && !signal?.aborted; left--) {
          onRestart?.(task.name, result.code);
          result = await run(task);
        }
        results[task.name] = result;
      }
    };
    await Promise.all(Array.from({ length: Math.min(limit, tasks.length) }, work));
    return results;
  } finally {
    process.removeListener("exit", endAll);
  }
}

/** Whether a process was ended by a signal that it does not answer, such as SIGKILL or SIGSEGV; one that was asked to stop is not. */
function wasKilled(code: number): boolean {
  const { SIGHUP, SIGINT, SIGQUIT, SIGTERM } = constants.signals;
  return code > 128 && ![SIGHUP, SIGINT, SIGQUIT, SIGTERM].includes(code - 128);
}

function exitCode(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]));
  });
}
