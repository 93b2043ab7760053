import { Argument, Command, Option } from "commander";
import { images, registry, UsageError } from "../../index.ts";
import { absentControls, type ComparedSystem, type Scale, type StudyTable, scales, studyTables } from "../../node.ts";
import { fidMeasure, runComparison, tunedOf, withFidOptions, withTuneOption } from "../comparison.ts";
import type { CommandContext } from "../context.ts";
import { type NamedRun, partsOf, withRunOptions } from "../runOptions.ts";
import { positiveNumber } from "../words.ts";
import { comparedRun } from "./compare.ts";

interface ReproduceOptions extends Readonly<Record<string, unknown>> {
  readonly scale: Scale;
  readonly only?: readonly string[];
  readonly seeds: number;
  readonly run?: string;
  readonly tune?: string | true;
  readonly json?: boolean;
}

export async function reproduceCommand({ words, pluginArgs }: CommandContext): Promise<Command> {
  const table = studyTables.find(({ name }) => words.includes(name));
  const run =
    table &&
    (await comparedRun(
      words.filter((word) => word !== table.name),
      table.model,
    ));
  const list = studyTables.map(({ name, title }) => `${name}: ${title}`);
  const command = new Command("reproduce")
    .description(`train what a table of the paper compares, and print it with the published figures beside ours\n\n${list.join("\n")}`)
    .addArgument(new Argument("<table>", "table").choices(studyTables.map(({ name }) => name)))
    .addOption(
      new Option(
        "--scale <name>",
        "laptop: small networks, hours on two cores; gpu: larger ones, hours on a GPU; paper: the published sizes and epochs",
      )
        .choices(scales)
        .default("laptop"),
    )
    .option("--only <row...>", "only these rows of the table, by name")
    .option("--seeds <n>", "runs of each system", positiveNumber, 3)
    .option(
      "--run <folder>",
      "where the runs and the report are kept; runs that are there are not repeated (default: runs/reproduce-TABLE)",
    )
    .option("--json", "print the result as JSON");
  withTuneOption(command);
  return withRunOptions(run?.model.task === images ? withFidOptions(command) : command, registry, run).action(
    (_: string, options: ReproduceOptions) => reproduce(table!, run!, options, pluginArgs),
  );
}

async function reproduce(table: StudyTable, run: NamedRun, options: ReproduceOptions, args: readonly string[]): Promise<void> {
  const { name, title, model, systems, equalEvaluations = false, columns, scales: settings } = table;
  const rows = chosen(systems(options.scale, registry), options.only);
  await runComparison(
    {
      registry,
      model,
      base: [settings[options.scale], ...partsOf(options, run)],
      systems: rows,
      absent: absentControls(registry, run.model, rows, "not of this table: dblocks compare has it"),
      seeds: options.seeds,
      equalEvaluations,
      columns,
      title,
      tuned: tunedOf(options),
      ...fidMeasure(options),
      path: options.run ?? `runs/reproduce-${name}`,
      args,
    },
    options.json ?? false,
  );
}

/** @throws {UsageError} for a row that the table does not have. */
function chosen(systems: readonly ComparedSystem[], only: readonly string[] | undefined): readonly ComparedSystem[] {
  if (only === undefined) return systems;
  const names = systems.map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError("unknownRow", { unknown, names }, `--only ${unknown}: the rows are ${names.join("; ")}.`);
  return systems.filter(({ name }) => only.includes(name));
}
