import { Argument, Command, Option } from "commander";
import { recipes, type Scale } from "../../experiments/index.ts";
import { runComparison } from "../comparison.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";

interface ReproduceOptions extends Readonly<Record<string, unknown>> {
  readonly scale: Scale;
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
      new Option("--scale <name>", "laptop: small networks, hours on two cores; paper: the published sizes and epochs")
        .choices(["laptop", "paper"])
        .default("laptop"),
    )
    .option("--seeds <n>", "runs of each system", positiveNumber, 3)
    .option(
      "--run <folder>",
      "where the runs and the report are kept; runs that are there are not repeated (default: runs/reproduce-TABLE)",
    )
    .option("--json", "print the result as JSON");
  return withRunOptions(command).action(reproduce);
}

async function reproduce(table: keyof typeof recipes, options: ReproduceOptions): Promise<void> {
  const { title, model, methods, twin, equalEvaluations, columns, scales } = recipes[table];
  const base = await runConfigOf(options, { ...scales[options.scale], model });
  const settings = { base, methods: twin ? [...methods, "shallow-twin"] : methods, seeds: options.seeds, equalEvaluations, columns, title };
  await runComparison({ ...settings, path: options.run ?? `runs/reproduce-${table}` }, options.json ?? false);
}
