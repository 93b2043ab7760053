import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** A job, or a task of an array, that Slurm has not ended. */
export interface SlurmTask {
  /** "123", or "123_4" of an array. */
  readonly id: string;
  /** "PENDING", "RUNNING", "COMPLETING", … */
  readonly state: string;
  /** Nodes, and why it waits. */
  readonly nodes: string;
  readonly reason: string;
}

/**
 * The tasks of jobs that are queued or running.
 *
 * @param jobs numbers of jobs or arrays.
 * @returns undefined where there is no Slurm, or it does not answer.
 */
export async function slurmQueue(jobs: readonly string[]): Promise<readonly SlurmTask[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)("squeue", ["-h", "-r", "-o", "%i|%T|%N|%r"], { timeout: 10_000 });
    const tasks = stdout.split("\n").filter((line) => line !== "");
    return tasks
      .map((line) => line.split("|"))
      .map(([id = "", state = "", nodes = "", reason = ""]) => ({ id, state, nodes, reason }))
      .filter(({ id }) => jobs.includes(id.replace(/_.*/, "")));
  } catch {
    return undefined;
  }
}
