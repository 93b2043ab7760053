import { Command } from "commander";
import { configSchema, type Flag, flagsOf, images, registry } from "../../index.ts";
import { absentControls, atBudgets, controlsOf, systemsNamed } from "../../node.ts";
import { fidMeasure, runComparison, tunedOf, withFidOptions, withTuneOption } from "../comparison.ts";
import type { CommandContext } from "../context.ts";
import { type NamedRun, namedRun, partsOf, required, withRunOptions } from "../runOptions.ts";
import { positiveNumber, positiveNumbers } from "../words.ts";
import { modelArgument } from "./train.ts";

interface CompareCommandOptions extends Readonly<Record<string, unknown>> {
  readonly run?: string;
  readonly methods?: string;
  readonly seeds: number;
  readonly controls: boolean;
  readonly budgets?: readonly number[];
  readonly equalEvaluations?: boolean;
  readonly tune?: string | true;
  readonly json?: boolean;
}

export async function compareCommand({ words, pluginArgs }: CommandContext): Promise<Command> {
  const run = await comparedRun(words);
  const command = new Command("compare")
    .description("train several systems on the same data with several seeds, each run in a process of its own, and put them into one table")
    .addArgument(modelArgument())
    .option(
      "--methods <list>",
      `systems, by name, separated by commas (default: ${run?.model.compared.join(",") ?? "those that are compared on this model"})`,
    )
    .option("--seeds <n>", "runs of each system", positiveNumber, 3)
    .option("--equal-evaluations", "give each system as many epochs as it takes to make the layer evaluations of the first in --epochs")
    .option(
      "--budgets <list>",
      "train each system so many times as long, e.g. 1,2,4,8: a row and a point of a curve for each, tuned for itself with --tune",
      positiveNumbers,
    )
    .option(
      "--no-controls",
      "leave out the rows by which the others are judged: end to end, with checkpointing, shallow twins, their ensemble",
    )
    .option("--run <folder>", "where the runs and the report are kept; runs that are there are not repeated (default: runs/compare)")
    .option("--json", "print the result as JSON");
  withTuneOption(command);
  return withRunOptions(run?.model.task === images ? withFidOptions(command) : command, registry, run).action(
    (_: string, options: CompareCommandOptions) => compareSystems(required(run, registry), options, pluginArgs),
  );
}

/** A model with the options of all its methods: each is for the systems that have it. */
export async function comparedRun(words: readonly string[], model?: string): Promise<NamedRun | undefined> {
  const run = await namedRun(registry, model === undefined ? words : [model, ...words]);
  if (run === undefined) return undefined;
  const all = registry.methodsFor(run.model).flatMap(({ name }) => flagsOf(configSchema(registry, run.model.name, name)));
  const byFlag = new Map<string, Flag>();
  for (const flag of [...run.flags, ...all]) if (!byFlag.has(flag.flag)) byFlag.set(flag.flag, flag);
  return { ...run, flags: [...byFlag.values()] };
}

async function compareSystems(run: NamedRun, options: CompareCommandOptions, args: readonly string[]): Promise<void> {
  const names = options.methods?.split(",").map((name) => name.trim()) ?? run.model.compared;
  const { model } = run;
  const rows = options.controls ? [...new Set([...names, ...controlsOf(registry, model)])] : names;
  const systems = atBudgets(systemsNamed(registry, model, rows), options.budgets ?? []);
  await runComparison(
    {
      registry,
      path: options.run ?? "runs/compare",
      model: model.name,
      base: partsOf(options, run),
      systems,
      absent: absentControls(registry, model, systems, "by --no-controls"),
      tuned: tunedOf(options),
      ...fidMeasure(options),
      seeds: options.seeds,
      equalEvaluations: options.equalEvaluations ?? false,
      args,
    },
    options.json ?? false,
  );
}
