import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { RunError } from "../errors.ts";
import { quoted, shellCommand } from "./shell.ts";

/** What a task may use; what is not given is left to the cluster's defaults. */
export interface SlurmResources {
  readonly partition?: string | undefined;
  readonly account?: string | undefined;
  /** Such as "04:00:00". A task saves, and is queued again, two minutes before it ends. */
  readonly time?: string | undefined;
  /** Threads of a task. */
  readonly cpus?: number | undefined;
  /** Such as "4G". */
  readonly memory?: string | undefined;
  readonly gpus?: number | undefined;
  /** Any other options of sbatch, such as "--qos=long". */
  readonly options?: readonly string[] | undefined;
}

export interface SlurmRun {
  readonly name: string;
  /** The run's folder, absolute, on a disk that all nodes share. */
  readonly path: string;
  readonly model: string;
  readonly units: readonly string[];
  /** How the command line is started on a node: the words before "train". */
  readonly program: readonly string[];
  /** Words after it: plugins. */
  readonly args: readonly string[];
  readonly resources: SlurmResources;
  /** A folder on each node's own disk in which a task trains; what it has is carried back when it ends. Absent: in `path` itself. */
  readonly stage?: string | undefined;
}

/** Seconds before its time limit at which a task is told to save. */
const secondsToSave = 120;

/**
 * The job array that trains a run, one task for each unit. A task resumes by itself; near its time limit it saves (SIGUSR1, exit code 75)
 * and is queued again, as Slurm does on its own after the loss of a node. Tasks exchange nothing.
 */
export function slurmArray(run: SlurmRun): string {
  const { name, path, model, units, program, args, stage } = run;
  const where = stage === undefined ? quoted(path) : '"$STAGE"';
  const command = `${shellCommand([...program, "train", model, ...args])} --run ${where} --units "$UNIT" --threads "\${SLURM_CPUS_PER_TASK:-1}"`;
  return `#!/bin/bash
# Written by dblocks launch slurm. One task for each unit of the run.
#SBATCH --job-name=${name}
#SBATCH --array=0-${units.length - 1}
${resourceLines(run)}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@${secondsToSave}
#SBATCH --output=${quoted(`${path}/launch/%A_%a.log`)}
set -uo pipefail
UNITS=(${shellCommand(units)})
UNIT=\${UNITS[$SLURM_ARRAY_TASK_ID]}
TASK=\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
RUN=${quoted(path)}
echo "$UNIT on \${SLURMD_NODENAME:-this node}, task $TASK, restart \${SLURM_RESTART_COUNT:-0}"
${stage === undefined ? "" : staging(stage)}
${command} &
CHILD=$!
finish() {
  wait "$CHILD"; local code=$?
${stage === undefined ? "" : '  if [ "$code" != 76 ]; then carry_back; fi\n'}  return $code
}
on_limit() {
  kill -USR1 "$CHILD" 2>/dev/null; finish; local code=$?
  if [ "$code" = 75 ]; then echo "near the time limit: saved, queued again"; scontrol requeue "$TASK"; fi
  exit "$code"
}
trap on_limit USR1
trap 'kill -TERM "$CHILD" 2>/dev/null; finish; exit $?' TERM
finish
`.replace(/\n{2,}/g, "\n");
}

/** What a task does to train on the node's own disk, and to carry back what it has. */
function staging(stage: string): string {
  return `STAGE=${quoted(stage)}/dblocks-$TASK
mkdir -p "$STAGE" "$RUN/launch"
# The newest start of a task is the one that may carry back.
TURN="$RUN/launch/turn-$UNIT"; MINE="$TASK \${SLURM_RESTART_COUNT:-0}"
echo "$MINE" >"$TURN"
cp "$RUN"/*.json "$STAGE"/
if [ -d "$RUN/$UNIT" ]; then cp -r "$RUN/$UNIT" "$STAGE"/; fi
carry_back() {
  if [ "$(cat "$TURN")" != "$MINE" ]; then echo "a newer start of $UNIT owns it: nothing is carried back"; return; fi
  local incoming="$RUN/launch/incoming-$TASK" file
  rm -rf "$incoming"; cp -r "$STAGE/$UNIT" "$incoming" && mkdir -p "$RUN/$UNIT"
  for file in "$incoming"/*; do mv -f "$file" "$RUN/$UNIT"/; done
  rm -rf "$incoming" "$STAGE"
}`;
}

/** The job that waits for the array, evaluates the units together, writes the report and verifies the run. */
export function slurmFinish(run: SlurmRun): string {
  const { name, path, model, program, args } = run;
  return `#!/bin/bash
# Written by dblocks launch slurm. After the array: evaluates the units together, writes report.html, verifies.
#SBATCH --job-name=${name}-finish
${resourceLines(run)}
#SBATCH --output=${quoted(`${path}/launch/%j-finish.log`)}
set -euo pipefail
${shellCommand([...program, "train", model, "--run", path, ...args])} --threads "\${SLURM_CPUS_PER_TASK:-1}"
${shellCommand([...program, "verify", path, ...args])}
`;
}

function resourceLines({ resources: { partition, account, time, cpus = 1, memory, gpus, options = [] } }: SlurmRun): string {
  const given = { partition, account, time, mem: memory, gres: gpus === undefined ? undefined : `gpu:${gpus}` };
  const lines = ["--nodes=1", "--ntasks=1", `--cpus-per-task=${cpus}`];
  for (const [option, value] of Object.entries(given)) if (value !== undefined) lines.push(`--${option}=${value}`);
  return [...lines, ...options].map((line) => `#SBATCH ${line}`).join("\n");
}

/** Jobs that were submitted. */
export interface SlurmJobs {
  readonly array: string;
  readonly finish: string;
}

/**
 * Submits the array and the job that depends on it.
 *
 * @throws {RunError} `noSlurm` if there is no sbatch here, or it refuses.
 */
export async function submitSlurm(arrayScript: string, finishScript: string): Promise<SlurmJobs> {
  const array = await sbatch([arrayScript]);
  const finish = await sbatch([`--dependency=afterok:${array}`, "--kill-on-invalid-dep=yes", finishScript]);
  return { array, finish };
}

/** The number of the job. */
async function sbatch(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("sbatch", ["--parsable", ...args]);
    return stdout.trim().replace(/;.*/, "");
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    const why = code === "ENOENT" ? "there is no sbatch here" : (stderr ?? String(cause)).trim();
    const message = `Slurm took no job: ${why}. --dry-run prints the scripts, to be submitted where sbatch is.`;
    throw new RunError("noSlurm", {}, message, { cause });
  }
}
