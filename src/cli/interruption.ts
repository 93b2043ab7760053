import { exitCodes } from "../node.ts";

/** Exit codes of a process that was told to stop, after saving: 128 and the signal's number, or 75, please requeue. */
const exitCodeOfSignal = {
  SIGINT: 130,
  SIGTERM: exitCodes.terminated,
  SIGHUP: exitCodes.hungUp,
  SIGQUIT: exitCodes.quit,
  SIGUSR1: exitCodes.requeue,
  SIGUSR2: exitCodes.requeue,
} as const;

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

/**
 * Listens for the signals that end a run early, and in a process of `runPool` for the end of its parent, however that ended. A second
 * Ctrl-C ends the process at once, without saving.
 */
export function watchInterruption(onFirst: () => void): Interruption {
  const controller = new AbortController();
  let code: number | undefined;
  let first = 0;
  const stop = (exitCode: number): void => {
    code = exitCode;
    first = performance.now();
    onFirst();
    controller.abort();
  };
  for (const [name, exitCode] of Object.entries(exitCodeOfSignal)) {
    process.on(name, () => {
      if (code === undefined) stop(exitCode);
      else if (performance.now() - first > sameRequestMs) process.exit(code);
    });
  }
  if (process.connected === false) stop(exitCodes.terminated);
  process.once("disconnect", () => {
    if (code === undefined) stop(exitCodes.terminated);
  });
  process.channel?.unref(); // listening for the parent's end does not keep a finished process alive
  return { signal: controller.signal, exitCode: () => code };
}
