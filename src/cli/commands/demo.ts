import { Command } from "commander";
import { registry } from "../../index.ts";
import { demo, demoConfig } from "../../node.ts";
import { watchInterruption } from "../interruption.ts";
import { print, printJson, say } from "../output.ts";
import { TrainingProgress } from "../progress.ts";
import { positiveNumber, wholeNumber } from "../words.ts";

export function demoCommand(): Command {
  return new Command("demo")
    .description("train one small network in blocks, end to end and as its shallow twin, on images that need no download")
    .option("--run <folder>", "where the runs and the report are kept", "runs/demo")
    .option("--epochs <n>", `passes over the data (default: ${demoConfig(registry).training.epochs})`, positiveNumber)
    .option("--seed <n>", "seed of everything random", wholeNumber, 0)
    .option("--threads <n>", "threads (default: all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async ({ run, epochs, seed, threads, json }) => {
      let progress: TrainingProgress | undefined;
      let nameOf = (unit: string): string => unit;
      const interruption = watchInterruption(() => say("Stopping after this step …"));
      say(`Four trainings, together some five minutes on two cores; each is a run in ${run}/ that can be stopped and resumed.`);
      const result = await demo({
        registry,
        path: run,
        overrides: {
          training: { seed, ...(epochs !== undefined && { epochs }) },
          execution: { ...(threads !== undefined && { threads }) },
        },
        signal: interruption.signal,
        onStart: (name, { config, data, task, method, steps, device }) => {
          progress?.pause();
          say(`${name}: ${task.amountOf(data)}, ${method.units.length} × ${steps} steps; ${device.name}, threads: ${device.threads}`);
          nameOf = (unit) => (method.units.length > 1 ? unit : name);
          progress = new TrainingProgress({
            units: method.units.map((unit) => nameOf(unit.name)),
            steps,
            countPerStep: config.training.batchSize,
            counted: task.counted,
            lossUnit: task.lossUnit,
          });
        },
        onStep: ({ name }, report) => progress?.step(nameOf(name), report),
      });
      progress?.pause();
      if (result === undefined) {
        say(`Stopped; what was done is in ${run}. The same command resumes.`);
        process.exitCode = interruption.exitCode() ?? 1;
        return;
      }
      const { rows, table, conclusion, reportPath } = result;
      if (json) return printJson({ rows, report: reportPath });
      print(
        `\n${table}\n\n${conclusion}\n\nreport: ${reportPath}\nthe runs: dblocks evaluate ${rows[0]!.run}, dblocks predict ${rows[0]!.run} FILE`,
      );
    });
}
