import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** The PyTorch counterpart of a benchmark (bench/pytorch_step.py): a process that answers one JSON line to each. */
export interface PytorchProcess {
  readonly version: string;
  ask(request: object): Promise<Record<string, unknown>>;
  stop(): void;
}

/** A python3 that has torch, or undefined. */
export function findPytorch(): string | undefined {
  return ["python3", "/usr/bin/python3"].find((python) => {
    try {
      execFileSync(python, ["-c", "import torch"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * @param waitPolicy OMP_WAIT_POLICY of the process, or undefined for its default: PyTorch's two thread pools fight on
 *   few cores, and either can be the kinder. ACTIVE is not offered: its threads spin while others are measured.
 */
export async function startPytorch(
  python: string,
  script: string,
  threads: number,
  waitPolicy: "PASSIVE" | undefined,
): Promise<PytorchProcess> {
  const child: ChildProcess = spawn(python, [script, String(threads)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...(waitPolicy && { OMP_WAIT_POLICY: waitPolicy }), OMP_NUM_THREADS: String(threads) },
  });
  const lines: Interface = createInterface({ input: child.stdout! });
  const answers = lines[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => JSON.parse((await answers.next()).value as string) as Record<string, unknown>;
  const { torch } = await next();
  return {
    version: String(torch),
    ask: (request) => {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      return next();
    },
    stop: () => void child.kill(),
  };
}
