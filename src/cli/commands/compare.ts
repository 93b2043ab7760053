import { Argument, Command } from "commander";
import { defaultComparison, systemsNamed } from "../../experiments/index.ts";
import { fidMeasure, runComparison, withFidOptions } from "../comparison.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";

interface CompareCommandOptions extends Readonly<Record<string, unknown>> {
  readonly run?: string;
  readonly methods?: string;
  readonly seeds: number;
  readonly twin: boolean;
  readonly equalEvaluations?: boolean;
  readonly json?: boolean;
}

export function compareCommand(): Command {
  const command = new Command("compare")
    .description("train several systems on the same data with several seeds, each run in a process of its own, and put them into one table")
    .addArgument(new Argument("<model>", "architecture").choices(Object.keys(defaultComparison)))
    .option("--methods <list>", "which, by name, separated by commas (default: those that the paper compares on this model)")
    .option("--seeds <n>", "runs of each system", positiveNumber, 3)
    .option("--equal-evaluations", "give each system as many epochs as it takes to make the layer evaluations of the first in --epochs")
    .option("--no-twin", "leave out the shallow twin: end-to-end training of the layers of one block")
    .option("--run <folder>", "where the runs and the report are kept; runs that are there are not repeated (default: runs/compare)")
    .option("--json", "print the result as JSON");
  return withRunOptions(withFidOptions(command)).action(compareSystems);
}

async function compareSystems(model: string, options: CompareCommandOptions): Promise<void> {
  const base = await runConfigOf(options, { model });
  const named = options.methods?.split(",").map((name) => name.trim()) ?? defaultComparison[base.model];
  await runComparison(
    {
      path: options.run ?? "runs/compare",
      base,
      systems: systemsNamed(hasTwin(model) && options.twin && !named.includes("shallow-twin") ? [...named, "shallow-twin"] : named),
      ...fidMeasure(options),
      seeds: options.seeds,
      equalEvaluations: options.equalEvaluations ?? false,
    },
    options.json ?? false,
  );
}

/** Blocks of a diffusion model answer for other noise levels, not for the same question. */
function hasTwin(model: string): boolean {
  return !["dit", "masked-diffusion", "recurrent-depth"].includes(model);
}
