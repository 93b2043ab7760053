import { Argument, Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { type ComparedSystem, recipes, type Scale, scales } from "../../experiments/index.ts";
import { fidMeasure, runComparison, withFidOptions } from "../comparison.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";

interface ReproduceOptions extends Readonly<Record<string, unknown>> {
  readonly scale: Scale;
  readonly only?: readonly string[];
  readonly seeds: number;
  readonly run?: string;
  readonly json?: boolean;
}

export function reproduceCommand(): Command {
  const tables = Object.entries(recipes).map(([name, { title }]) => `${name}: ${title}`);
  const command = new Command("reproduce")
    .description(`train what a table of the paper compares, and print it with the published figures beside ours\n\n${tables.join("\n")}`)
    .addArgument(new Argument("<table>", "which").choices(Object.keys(recipes)))
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
  return withRunOptions(withFidOptions(command)).action(reproduce);
}

async function reproduce(table: keyof typeof recipes, options: ReproduceOptions): Promise<void> {
  const { title, model, systems, equalEvaluations = false, columns, scales: settings } = recipes[table];
  const base = await runConfigOf(options, { ...settings[options.scale], model });
  const comparison = {
    base,
    systems: chosen(systems(options.scale), options.only),
    seeds: options.seeds,
    equalEvaluations,
    columns,
    title,
    ...fidMeasure(options),
  };
  await runComparison({ ...comparison, path: options.run ?? `runs/reproduce-${table}` }, options.json ?? false);
}

/** @throws {UsageError} for a row that the table does not have. */
function chosen(systems: readonly ComparedSystem[], only: readonly string[] | undefined): readonly ComparedSystem[] {
  if (only === undefined) return systems;
  const names = systems.map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError("unknownRow", { unknown, names }, `--only ${unknown}: the rows are ${names.join("; ")}.`);
  return systems.filter(({ name }) => only.includes(name));
}
