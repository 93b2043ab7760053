import { type ChildProcess, spawn } from "node:child_process";
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
 * Runs all tasks at once, each in a process of its own that exchanges nothing with the others, and returns how they
 * ended, by name. None outlives this process: each is ended when it exits, and a channel that closes tells those of a process that was killed.
 */
export async function runPool({ script, tasks, onLine, signal }: PoolOptions): Promise<Record<string, PoolResult>> {
  const children = new Set<ChildProcess>();
  const endAll = (): void => children.forEach((child) => void child.kill("SIGTERM"));
  process.once("exit", endAll);
  try {
    const running = tasks.map(async ({ name, args }) => {
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
        return [name, { code, output: Buffer.concat(output).toString("utf8") }] as const;
      } finally {
        children.delete(child);
        signal?.removeEventListener("abort", stop);
      }
    });
    return Object.fromEntries(await Promise.all(running));
  } finally {
    process.removeListener("exit", endAll);
  }
}

function exitCode(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal === "SIGKILL" ? 9 : 15)));
  });
}
