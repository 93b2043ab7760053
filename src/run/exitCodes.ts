import { DataError, FormatError, PartitionError, RunError, ShapeError, TrainingError, UsageError } from "../errors.ts";

/**
 * The exit codes of a `dblocks` process, by which a job script or a cluster knows what to do next:
 * requeue 75, 129, 131 and 143, give up on 2 and 42, ignore 76.
 */
export interface ExitCodes {
  /** All that was asked for is done. */
  readonly done: 0;
  /** Something failed that may work another time: a device, a disk. */
  readonly failed: 1;
  /** The command line or the configuration is wrong; nothing was started. */
  readonly wrongUsage: 2;
  /** The loss or a gradient became NaN or infinite. */
  readonly diverged: 3;
  /** Trying again cannot help: a shape, a partition, a data file. Kubernetes: `FailIndex` on this code. */
  readonly neverWorks: 42;
  /** Saved; please start the same command again (SIGUSR1: the time limit is near). */
  readonly requeue: 75;
  /** A newer process owns the unit; this one has stopped and must not be restarted. */
  readonly fenced: 76;
  /** Ended after saving by SIGHUP, the terminal or connection is gone (128 + 1). */
  readonly hungUp: 129;
  /** Ended after saving by SIGQUIT (128 + 3). */
  readonly quit: 131;
  /** Ended after saving by SIGTERM (128 + 15), or because the process that started this one is gone. */
  readonly terminated: 143;
}

export const exitCodes: ExitCodes = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  diverged: 3,
  neverWorks: 42,
  requeue: 75,
  fenced: 76,
  hungUp: 129,
  quit: 131,
  terminated: 143,
};

/** The exit code for a process that ends with `error`. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.wrongUsage;
  if (error instanceof TrainingError) return exitCodes.diverged;
  if (error instanceof RunError && error.code === "fenced") return exitCodes.fenced;
  const hopeless = [DataError, PartitionError, ShapeError, FormatError].some((kind) => error instanceof kind);
  return hopeless ? exitCodes.neverWorks : exitCodes.failed;
}
