import { exitCodes } from "../node.ts";

/**
 * Exit codes of a process that was told to stop, after saving: with 130 after Ctrl-C, 143 after SIGTERM, and 75, please
 * requeue, after SIGUSR1 or 2.
 */
const exitCodeOfSignal = { SIGINT: 130, SIGTERM: exitCodes.terminated, SIGUSR1: exitCodes.requeue, SIGUSR2: exitCodes.requeue } as const;

/**
 * A terminal sends Ctrl-C to a whole group of processes, and a parent passes it on: the same request within this time
 * is not a second one.
 */
const sameRequestMs = 1000;

export interface Interruption {
  /** Aborted by the first signal: finish the step, save, return. */
  readonly signal: AbortSignal;
  /** The exit code; undefined while nothing came. */
  exitCode(): number | undefined;
}

/** Listens for the signals that end a run early. A second Ctrl-C ends the process at once, without saving. */
export function watchInterruption(onFirst: () => void): Interruption {
  const controller = new AbortController();
  let code: number | undefined;
  let first = 0;
  for (const [name, exitCode] of Object.entries(exitCodeOfSignal)) {
    process.on(name, () => {
      if (code === undefined) {
        code = exitCode;
        first = performance.now();
        onFirst();
        controller.abort();
      } else if (performance.now() - first > sameRequestMs) process.exit(code);
    });
  }
  return { signal: controller.signal, exitCode: () => code };
}
