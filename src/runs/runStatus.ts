import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { type SlurmTask, slurmQueue } from "../cluster/index.ts";
import type { Registry } from "../define/index.ts";
import { ownerOf } from "../run/index.ts";
import type { MetricRecord } from "../train/index.ts";
import { launchedJobs } from "./launch.ts";
import { openTrainedRun } from "./trainedRun.ts";

export type UnitState = "not started" | "queued" | "running" | "stopped" | "trained";

/** A unit as the run's folder, and Slurm where it is, have it. */
export interface UnitStatus {
  readonly unit: string;
  readonly state: UnitState;
  /** Updates that the newest checkpoint, or a later line of the log, has; and all that there are to make, where the run says so. */
  readonly step: number;
  readonly steps: number | undefined;
  readonly loss: number | undefined;
  /** Seconds since 1970 of the last line of the log. */
  readonly updated: number | undefined;
  readonly stepsPerSecond: number | undefined;
  /** Until the last step, at this speed. */
  readonly secondsLeft: number | undefined;
  /** The process that trained it last: "4711 on node-3", with the Slurm task that it is. */
  readonly where: string | undefined;
}

/** A unit that another host trains counts as running if its log is not older than this. */
const silentSeconds = 600;

/**
 * Every unit of a run, wherever it is trained: from the run's folder alone, and from Slurm's queue where there is one. Nothing is
 * changed.
 *
 * @param now seconds since 1970.
 * @throws {RunError} if there is no run.
 */
export async function runStatus(registry: Registry, path: string, now: number = Date.now() / 1000): Promise<readonly UnitStatus[]> {
  const { folder, method } = await openTrainedRun(registry, path);
  const [records, steps, jobs] = [await folder.readMetrics(), (await folder.readSchedule())?.steps, await launchedJobs(folder)];
  const owners = new Map<string, Awaited<ReturnType<typeof ownerOf>>>();
  for (const { name } of method.units) owners.set(name, await ownerOf(folder.unitFolder(name)));
  const tasks = [...owners.values()].flatMap((owner) => owner?.job ?? []);
  const arrays = [...new Set([...tasks.map((id) => id.replace(/_.*/, "")), ...(jobs === undefined ? [] : [jobs.array])])];
  const queue = arrays.length === 0 ? undefined : await slurmQueue(arrays);
  const statuses: UnitStatus[] = [];
  for (const { name } of method.units) {
    const own = records.filter(({ unit }) => unit === name);
    const last = own.at(-1);
    const step = Math.max(await newestStep(folder.unitFolder(name)), last?.step ?? 0);
    const owner = owners.get(name);
    const launched = jobs === undefined ? undefined : `${jobs.array}_${jobs.units.indexOf(name)}`;
    const task = queue?.find(({ id }) => id === owner?.job || id === launched);
    const isAlive = owner !== undefined && owner.host === hostname() && isRunning(owner.pid);
    const isHeard = owner !== undefined && owner.host !== hostname() && last !== undefined && now - last.time < silentSeconds;
    const state = stateOf({
      isDone: step === steps,
      isAlive,
      isHeard: isHeard && queue === undefined,
      task,
      wasStarted: owner !== undefined,
    });
    const stepsPerSecond = state === "running" ? speedOf(own) : undefined;
    statuses.push({
      unit: name,
      state,
      step,
      steps,
      loss: own.findLast(({ values }) => typeof values.loss === "number")?.values.loss as number | undefined,
      updated: last?.time,
      stepsPerSecond,
      secondsLeft: stepsPerSecond === undefined || steps === undefined ? undefined : (steps - step) / stepsPerSecond,
      where: owner && `${owner.pid} on ${owner.host}${owner.job === null ? "" : `, Slurm ${owner.job}`}`,
    });
  }
  return statuses;
}

interface Evidence {
  readonly isDone: boolean;
  /** Its process runs on this host. */
  readonly isAlive: boolean;
  /** Its process is on another host, and its log grows. */
  readonly isHeard: boolean;
  readonly task: SlurmTask | undefined;
  readonly wasStarted: boolean;
}

function stateOf({ isDone, isAlive, isHeard, task, wasStarted }: Evidence): UnitState {
  if (isDone) return "trained";
  if (isAlive || isHeard || task?.state === "RUNNING") return "running";
  if (task !== undefined) return "queued";
  return wasStarted ? "stopped" : "not started";
}

/** Of the checkpoints, by their names. */
async function newestStep(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  return Math.max(0, ...names.map((name) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? 0)));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Over the last ten records; undefined for fewer than two. */
function speedOf(records: readonly MetricRecord[]): number | undefined {
  const [first, last] = [records.slice(-10)[0], records.at(-1)];
  if (first === undefined || last === undefined || !(last.time > first.time)) return undefined;
  return (last.step - first.step) / (last.time - first.time);
}
