import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { type SlurmJobs, type SlurmRun, slurmArray, slurmFinish, submitSlurm } from "../cluster/index.ts";
import type { Registry, RunConfig } from "../define/index.ts";
import { parseStrictJson } from "../formats/index.ts";
import type { RunFolder } from "../run/index.ts";
import { checkApart } from "./parallel.ts";
import { describeRun, prepareRun } from "./prepare.ts";

export interface LaunchOptions extends Pick<SlurmRun, "program" | "args" | "resources" | "stage"> {
  readonly registry: Registry;
  /** The run's folder, on a disk that all nodes share. */
  readonly path: string;
  readonly config: RunConfig;
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Scripts by file name, in the folder `launch` of the run. */
export type LaunchScripts = Readonly<Record<"blocks.sbatch" | "finish.sbatch", string>>;

/**
 * The scripts with which Slurm trains a run: an array with a task for each unit, and a job that depends on it. Data and options are
 * checked; nothing is written.
 *
 * @throws what {@link describeRun} throws; {UsageError} if the method's units cannot be trained alone.
 */
export async function describeLaunch(options: LaunchOptions): Promise<LaunchScripts> {
  const { method } = await describeRun({ ...options, check: (one) => checkApart(one, options.config) });
  return scriptsOf(
    options,
    method.units.map(({ name }) => name),
  );
}

/**
 * Prepares a run, so that every task finds it, writes the scripts of {@link describeLaunch} into it and submits them.
 *
 * @throws what {@link prepareRun} throws; {UsageError} if the method's units cannot be trained alone. {RunError} `noSlurm` if Slurm does
 *   not take the jobs: the scripts stay.
 */
export async function launch(options: LaunchOptions): Promise<SlurmJobs> {
  const { method, folder } = await prepareRun({ ...options, check: (one) => checkApart(one, options.config) });
  const units = method.units.map(({ name }) => name);
  const scripts = scriptsOf(options, units);
  for (const [name, script] of Object.entries(scripts)) await chmod(await folder.writeFile(join(launchFolder, name), script), 0o755);
  const file = (name: keyof LaunchScripts): string => resolve(folder.path, launchFolder, name);
  const jobs = await submitSlurm(file("blocks.sbatch"), file("finish.sbatch"));
  await folder.writeFile(jobsFile, `${JSON.stringify({ ...jobs, units })}\n`);
  return jobs;
}

const launchFolder = "launch";
const jobsFile = join(launchFolder, "jobs.json");
const launched = z.object({ array: z.string(), finish: z.string(), units: z.array(z.string()) });

/** The jobs that were submitted for a run last, and the unit of each task of the array; undefined if none were. */
export async function launchedJobs(folder: RunFolder): Promise<(SlurmJobs & { readonly units: readonly string[] }) | undefined> {
  const text = await folder.readFile(jobsFile);
  return text === undefined ? undefined : launched.parse(parseStrictJson(text, join(folder.path, jobsFile)));
}

function scriptsOf({ path, config, program, args, resources, stage }: LaunchOptions, units: readonly string[]): LaunchScripts {
  const absolute = resolve(path);
  const name = `dblocks-${config.model.name}`;
  const run: SlurmRun = { name, path: absolute, model: config.model.name, units, program, args, resources, stage };
  return { "blocks.sbatch": slurmArray(run), "finish.sbatch": slurmFinish(run) };
}
