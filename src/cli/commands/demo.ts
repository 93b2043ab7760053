import { Command } from "commander";
import { wholeNumber } from "../options.ts";
import { Progress, print, printJson } from "../output.ts";

export function demoCommand(): Command {
  return new Command("demo")
    .description("train one small network in blocks, end to end and as its shallow twin, on images that need no download")
    .option("--run <folder>", "where the report is written", "runs/demo")
    .option("--epochs <n>", "passes over the data", wholeNumber)
    .option("--seed <n>", "seed of everything random", wholeNumber, 0)
    .option("--json", "print the result as JSON")
    .action(async ({ run, epochs, seed, json }) => {
      const { demo } = await import("../../experiments/index.ts");
      const progress = new Progress();
      const overrides = { training: { seed, ...(epochs && { epochs }) } };
      const { rows, table, reportPath } = await demo({
        path: run,
        overrides,
        onStep: (method, unit, { step, loss, metrics }, steps) =>
          progress.step({
            unit: method.units.length > 1 ? unit.name : method.name,
            step,
            steps,
            loss,
            accuracy: metrics.accuracy,
            itemsPerStep: 32,
          }),
      });
      progress.end();
      if (json) return printJson({ rows, report: reportPath });
      print(`${table}\n\nreport: ${reportPath}`);
    });
}
