import { Argument, Command, Option } from "commander";
import { images, registry, UsageError } from "../../index.ts";
import {
  absentControls,
  type Cell,
  type Column,
  type ComparedSystem,
  renderTable,
  runsMade,
  type Scale,
  type StudyTable,
  scales,
  studyTables,
  tableCosts,
} from "../../node.ts";
import { fidMeasure, runComparison, tunedOf, withFidOptions, withTuneOption } from "../comparison.ts";
import type { CommandContext } from "../context.ts";
import { print } from "../output.ts";
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
  readonly list?: boolean;
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
    .addArgument(new Argument(words.includes("--list") ? "[table]" : "<table>", "table").choices(studyTables.map(({ name }) => name)))
    .option("--list", "train nothing: all tables and what is done of them, or of one table what each row costs at --scale")
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
    async (_: string | undefined, options: ReproduceOptions) => {
      if (options.list) return print(table === undefined ? await overview() : costsText(table, options.scale));
      return await reproduce(table!, run!, options, pluginArgs);
    },
  );
}

const folderOf = (name: string): string => `runs/reproduce-${name}`;

/** Every table, what it needs, and the runs that are there. */
async function overview(): Promise<string> {
  const made = await Promise.all(studyTables.map(({ name }) => runsMade(folderOf(name))));
  const rows = studyTables.map(({ name, title, paper, model, published, systems }, i): Cell[] => {
    const amount = `${published.amount.toLocaleString("en")} ${registry.model(model).task.counted}`;
    return [
      name,
      paper,
      title.replace(/^[^:]*: /, ""),
      `${published.data}, ${amount}`,
      systems("laptop", registry).length,
      made[i] === 0 ? "" : `${made[i]} runs`,
    ];
  });
  const table = renderTable(["table", "of the paper", "", "published on", { title: "rows", align: "right" }, "in runs/"], rows);
  return `${table}\n\nTable 12 is dblocks bench. What a table costs: dblocks reproduce TABLE --list --scale laptop, gpu or paper.`;
}

/** The cost of each row of a table. */
function costsText(table: StudyTable, scale: Scale): string {
  const costs = tableCosts(registry, table, scale);
  const number = (value: number): string => value.toLocaleString("en", { maximumSignificantDigits: 3 });
  const rows = costs.map(({ row, updates, flops, peak }): Cell[] => [
    row,
    updates.toLocaleString("en"),
    number(flops / 1e12),
    `${number(peak / 1e6)} MB`,
  ]);
  const columns = ["row", ...["updates of each unit", "TFLOP", "peak of a process"].map((title): Column => ({ title, align: "right" }))];
  const total = costs.reduce((sum, { flops }) => sum + flops, 0);
  return `${renderTable(columns, rows)}\n\n${number(total / 1e12)} TFLOP for one seed, on as much data as ${table.published.data} has; for hours divide by 3.6 and by the GFLOP/s that dblocks bench measures here.`;
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
      path: options.run ?? folderOf(name),
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
