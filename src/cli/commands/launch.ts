import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Argument, Command } from "commander";
import { registry, UsageError } from "../../index.ts";
import {
  checkApart,
  describeLaunch,
  describeRun,
  kubernetesJob,
  type LaunchOptions,
  launch,
  prepareRun,
  shellCommand,
} from "../../node.ts";
import type { CommandContext } from "../context.ts";
import { print, printJson, say } from "../output.ts";
import { type NamedRun, namedRun, required, runConfigOf, withRunOptions } from "../runOptions.ts";
import { positiveNumber } from "../words.ts";
import { modelArgument, presentConfig } from "./train.ts";

const engines = ["slurm", "kubernetes"] as const;

interface LaunchCommandOptions extends Readonly<Record<string, unknown>> {
  readonly run?: string;
  readonly partition?: string;
  readonly account?: string;
  readonly time?: string;
  readonly cpus?: number;
  readonly memory?: string;
  readonly gpus?: number;
  readonly sbatch?: readonly string[];
  readonly stage?: string;
  readonly image?: string;
  readonly claim?: string;
  readonly mount?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export async function launchCommand({ words, pluginArgs }: CommandContext): Promise<Command> {
  const run = await namedRun(
    registry,
    words.filter((word) => !(engines as readonly string[]).includes(word)),
  );
  const command = new Command("launch")
    .description("train the blocks of a run as jobs of a cluster, one task for each, and evaluate them together when all are trained")
    .addArgument(new Argument("<engine>", "slurm, or kubernetes, whose manifest is printed for kubectl apply -f -").choices(engines))
    .addArgument(modelArgument())
    .option("--run <folder>", "where the run is kept, on a disk that all nodes share (default: runs/MODEL)")
    .option("--time <limit>", "Slurm: time limit of a task, e.g. 04:00:00; it saves before and is queued again")
    .option("--partition <name>", "Slurm: partition")
    .option("--account <name>", "Slurm: account")
    .option("--sbatch <option...>", "Slurm: any other option of sbatch, e.g. --sbatch=--qos=long")
    .option("--stage <folder>", "Slurm: train on each node's own disk, in this folder, and carry back what a task has when it ends")
    .option("--cpus <n>", "threads of a task", positiveNumber, 1)
    .option("--memory <size>", "memory of a task, e.g. 4G for Slurm, 4Gi for Kubernetes")
    .option("--gpus <n>", "GPUs of a task", positiveNumber)
    .option("--image <name>", "Kubernetes: an image in which dblocks is installed")
    .option("--claim <name>", "Kubernetes: claim of the volume that holds the run and the data")
    .option("--mount <path>", "Kubernetes: where it is mounted, here and in the pods")
    .option("--dry-run", "print what would be submitted; no run is prepared")
    .option("--json", "print the result as JSON");
  return withRunOptions(command, registry, run).action((engine: (typeof engines)[number], _: string, options: LaunchCommandOptions) =>
    ({ slurm: onSlurm, kubernetes: onKubernetes })[engine](required(run, registry), options, pluginArgs),
  );
}

async function onSlurm(run: NamedRun, options: LaunchCommandOptions, args: readonly string[]): Promise<void> {
  const { partition, account, time, cpus, memory, gpus, sbatch, stage } = options;
  const launched: LaunchOptions = {
    registry,
    path: pathOf(run, options),
    config: runConfigOf(registry, options, run, await presentConfig(options, run)),
    program: [process.execPath, fileURLToPath(new URL("../main.js", import.meta.url))],
    args,
    resources: { partition, account, time, cpus, memory, gpus, options: sbatch },
    stage: stage === undefined ? undefined : resolve(stage),
    onNotice: say,
  };
  if (options.dryRun) {
    const scripts = await describeLaunch(launched);
    return options.json
      ? printJson(scripts)
      : print(
          Object.entries(scripts)
            .map(([name, text]) => `# ${name}\n${text}`)
            .join("\n"),
        );
  }
  const jobs = await launch(launched);
  if (options.json) return printJson({ run: launched.path, ...jobs });
  print(`job ${jobs.array}: one task for each unit; job ${jobs.finish}: evaluation and report, after them`);
  say(`To follow them: ${shellCommand(["dblocks", "status", launched.path])}`);
}

async function onKubernetes(run: NamedRun, options: LaunchCommandOptions, args: readonly string[]): Promise<void> {
  const { image, claim, mount, cpus, memory, gpus } = options;
  const path = resolve(pathOf(run, options));
  if (image === undefined || claim === undefined || mount === undefined)
    throw new UsageError("noImage", {}, "launch kubernetes needs --image, --claim and --mount: see --help.");
  if (!`${path}/`.startsWith(`${resolve(mount)}/`))
    throw new UsageError("notMounted", { path, mount }, `${path} is not below --mount ${mount}: the pods would not find the run.`);
  const config = runConfigOf(registry, options, run, await presentConfig(options, run));
  const prepare = options.dryRun ? describeRun : prepareRun;
  const { method } = await prepare({ registry, path, config, check: (one) => checkApart(one, config), onNotice: say });
  const units = method.units.map(({ name }) => name);
  printJson(
    kubernetesJob({ name: `dblocks-${run.model.name}`, path, model: run.model.name, units, args, image, claim, mount, cpus, memory, gpus }),
  );
}

function pathOf({ model }: NamedRun, { run = `runs/${model.name}` }: LaunchCommandOptions): string {
  return run;
}
