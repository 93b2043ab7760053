import { Command } from "commander";
import { registry } from "../../index.ts";
import { demo, demoConfig } from "../../node.ts";
import { print, printJson, say } from "../output.ts";
import { TrainingProgress } from "../progress.ts";
import { positiveNumber, wholeNumber } from "../words.ts";

export function demoCommand(): Command {
  return new Command("demo")
    .description("train one small network in blocks, end to end and as its shallow twin, on images that need no download")
    .option("--run <folder>", "where the report is written", "runs/demo")
    .option("--epochs <n>", `passes over the data (default: ${demoConfig(registry, "blocks").training.epochs})`, positiveNumber)
    .option("--seed <n>", "seed of everything random", wholeNumber, 0)
    .option("--threads <n>", "threads (default: all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async ({ run, epochs, seed, threads, json }) => {
      let progress: TrainingProgress | undefined;
      let samplesPerStep = 0;
      let nameOf = (unit: string): string => unit;
      const { rows, table, reportPath } = await demo({
        registry,
        path: run,
        overrides: {
          training: { seed, ...(epochs !== undefined && { epochs }) },
          execution: { ...(threads !== undefined && { threads }) },
        },
        onStart: ({ config, data, device }) => {
          samplesPerStep = config.training.batchSize;
          say(
            `${data.train.count} images of ${data.numClasses} classes, drawn by the library; ${device.name} with ${device.threads} threads`,
          );
        },
        onMethod: (method, steps) => {
          progress?.pause();
          nameOf = (unit) => (method.units.length > 1 ? unit : method.name);
          progress = new TrainingProgress({
            units: method.units.map(({ name }) => nameOf(name)),
            steps,
            countPerStep: samplesPerStep,
            counted: "images",
            lossUnit: "nats",
          });
        },
        onStep: ({ name }, report) => progress?.step(nameOf(name), report),
      });
      progress?.pause();
      if (json) return printJson({ rows, report: reportPath });
      print(`\n${table}\n\nreport: ${reportPath}`);
    });
}
