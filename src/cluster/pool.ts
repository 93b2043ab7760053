import { spawn } from "node:child_process";
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
  readonly onLine: (name: string, line: string) => void;
  /** Passed on to every process as SIGINT: each saves and ends. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs all tasks at once, each in a process of its own that exchanges nothing with the others, and returns their exit codes by name. */
export async function runPool({ script, tasks, onLine, signal }: PoolOptions): Promise<Record<string, number>> {
  const running = tasks.map(async ({ name, args }) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const stop = (): void => void child.kill("SIGINT");
    signal?.addEventListener("abort", stop, { once: true });
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", (line) => onLine(name, line));
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve(exitCode ?? 1));
    });
    signal?.removeEventListener("abort", stop);
    return [name, code] as const;
  });
  return Object.fromEntries(await Promise.all(running));
}
