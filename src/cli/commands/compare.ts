import { fileURLToPath } from "node:url";
import { Argument, Command } from "commander";
import { models } from "../../experiments/index.ts";
import { watchInterruption } from "../interruption.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";
import { print, printJson, say, shellCommand } from "../output.ts";

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
    .addArgument(new Argument("<model>", "architecture").choices(models))
    .option("--methods <list>", "which, by name, separated by commas (default: those that the paper compares on this model)")
    .option("--seeds <n>", "runs of each system", positiveNumber, 3)
    .option("--equal-evaluations", "give each system as many epochs as it takes to make the layer evaluations of the first in --epochs")
    .option("--no-twin", "leave out the shallow twin: end-to-end training of the layers of one block")
    .option("--run <folder>", "where the runs and the report are kept; runs that are there are not repeated (default: runs/compare)")
    .option("--json", "print the result as JSON");
  return withRunOptions(command).action(compareSystems);
}

async function compareSystems(model: string, options: CompareCommandOptions): Promise<void> {
  const { compare, defaultComparison } = await import("../../experiments/index.ts");
  const base = await runConfigOf(options, { model });
  const named = options.methods?.split(",").map((name) => name.trim()) ?? defaultComparison[base.model];
  const methods = options.twin && !named.includes("shallow-twin") ? [...named, "shallow-twin"] : named;
  const path = options.run ?? "runs/compare";
  const interruption = watchInterruption(() => say("Stopping after this step …"));
  const { runs, table, reportPath, finished } = await compare({
    path,
    base,
    methods,
    seeds: options.seeds,
    equalEvaluations: options.equalEvaluations ?? false,
    script: fileURLToPath(new URL("../main.js", import.meta.url)),
    signal: interruption.signal,
    onLine: (name, line) => say(`[${name}] ${line}`),
    onRun: ({ method, seed, accuracy, seconds, trainingBytes }, isNew) => {
      const cost = [
        seconds === undefined ? [] : `${seconds.toFixed(0)} s`,
        trainingBytes === undefined ? [] : `${(trainingBytes / 1e6).toFixed(0)} MB`,
      ];
      say(
        `${method}, seed ${seed}: ${(100 * accuracy).toFixed(2)} %${cost
          .flat()
          .map((text) => `, ${text}`)
          .join("")}${isNew ? "" : " (was there)"}`,
      );
    },
  });
  if (options.json) printJson({ runs, report: reportPath });
  else if (runs.length > 0) print(`${table}\n\nreport: ${reportPath}`);
  if (finished) return;
  say(`Stopped; the runs made so far are kept. To go on: ${shellCommand(["dblocks", ...process.argv.slice(2)])}`);
  process.exitCode = interruption.exitCode() ?? 1;
}
