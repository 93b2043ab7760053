import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { RunError } from "../errors.ts";
import { openSealedJson, sealJson } from "../formats/index.ts";
import { disk, type FileSystem, makeFolder, readText, writeAtomic } from "./fileSystem.ts";

/**
 * The right to write a unit's folder. A cluster may start a task a second time while the first process is still alive (its node was only
 * unreachable), so the newest process always wins and the older one finds out before it next saves. No lock could do that: it would be
 * held by the process that must give way.
 */
export interface Owner {
  /** Counts the processes that have owned the folder, from 1. */
  readonly token: number;
  /**
   * Reads the owner file again.
   *
   * @throws {RunError} `fenced` if a newer process owns the folder: stop, exit code 76. `ownerLost` if the file is gone or unreadable.
   */
  check(): Promise<void>;
}

const ownerRecord = z.object({
  id: z.string(),
  token: z.int().min(1),
  /** Slurm's name of the task, and how often it was restarted: orders two processes of one task whichever started to run first. */
  job: z.string().nullable(),
  restartCount: z.int().min(0),
  host: z.string(),
  pid: z.int(),
  since: z.string(),
});
export type OwnerRecord = z.infer<typeof ownerRecord>;

/** The process that owns a unit's folder, or owned it last; undefined if none has, or its file is damaged. */
export function ownerOf(folder: string, fs: FileSystem = disk): Promise<OwnerRecord | undefined> {
  return readOwner(join(folder, "owner.json"), fs);
}

/**
 * Makes this process the owner of `folder` (its file `owner.json`).
 *
 * @param env where Slurm's variables are looked up: SLURM_JOB_ID, SLURM_ARRAY_JOB_ID, SLURM_ARRAY_TASK_ID, SLURM_RESTART_COUNT.
 * @throws {RunError} `fenced` if the present owner is a later restart of the same Slurm task.
 */
export async function claimOwnership(
  folder: string,
  { fs = disk, env = process.env }: { fs?: FileSystem; env?: NodeJS.ProcessEnv } = {},
): Promise<Owner> {
  const path = join(folder, "owner.json");
  const job = slurmTask(env);
  const restartCount = Number(env.SLURM_RESTART_COUNT ?? 0);
  const previous = await readOwner(path, fs);
  if (previous !== undefined && job !== null && previous.job === job && previous.restartCount > restartCount)
    throw fenced(folder, previous);

  const token = (previous?.token ?? 0) + 1;
  const mine: OwnerRecord = {
    id: randomUUID(),
    token,
    job,
    restartCount,
    host: hostname(),
    pid: process.pid,
    since: new Date().toISOString(),
  };
  await makeFolder(folder, fs);
  await writeAtomic(path, sealJson(mine), fs);
  const check = async (): Promise<void> => {
    const current = await readOwner(path, fs);
    if (current === undefined) {
      throw new RunError(
        "ownerLost",
        { path },
        `${path} is gone or damaged; the folder may have been moved. Run the same command again to continue.`,
      );
    }
    if (current.id !== mine.id) throw fenced(folder, current);
  };
  return { token, check };
}

function slurmTask(env: NodeJS.ProcessEnv): string | null {
  if (env.SLURM_ARRAY_JOB_ID !== undefined) return `${env.SLURM_ARRAY_JOB_ID}_${env.SLURM_ARRAY_TASK_ID}`;
  return env.SLURM_JOB_ID ?? null;
}

async function readOwner(path: string, fs: FileSystem): Promise<OwnerRecord | undefined> {
  const text = await readText(path, fs);
  if (text === undefined) return undefined;
  try {
    return ownerRecord.parse(openSealedJson(text, path));
  } catch {
    return undefined;
  }
}

function fenced(folder: string, { host, pid, since, token }: OwnerRecord): RunError {
  return new RunError(
    "fenced",
    { folder, host, pid, since, token },
    `A newer process (${pid} on ${host}, since ${since}) owns ${folder}. This one stops without saving.`,
  );
}
