import { Command } from "commander";
import { registry } from "../../index.ts";
import { trainFeatures } from "../../node.ts";
import { watchInterruption } from "../interruption.ts";
import { print, printJson, say } from "../output.ts";
import { TrainingProgress } from "../progress.ts";
import { positiveNumber } from "../words.ts";

export function featuresCommand(): Command {
  return new Command("features")
    .description(
      "train a small classifier on labelled images and write its features as ONNX: what `dblocks evaluate --features` compares images by",
    )
    .requiredOption("--data <path>", "labelled images: those that the diffusion model is trained on")
    .option("--out <file>", "the ONNX file to write", "features.onnx")
    .option("--run <folder>", "where the classifier's run is kept", "runs/features")
    .option("--epochs <n>", "passes over the data", positiveNumber, 10)
    .option("--augment <list>", "augmentation of training images, as of train", "none")
    .option("--threads <n>", "threads (default: all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async ({ data, out, run, epochs, augment, threads, json }) => {
      const interruption = watchInterruption(() => say("Stopping after this step …"));
      let progress: TrainingProgress | undefined;
      const result = await trainFeatures({
        registry,
        path: run,
        dataPath: data,
        out,
        overrides: { training: { epochs }, data: { augmentation: augment }, execution: { ...(threads && { threads }) } },
        signal: interruption.signal,
        onNotice: say,
        onStart: ({ config: { training }, steps, units }) => {
          progress = new TrainingProgress({
            units: units.map(({ name }) => name),
            steps,
            countPerStep: training.batchSize,
            counted: "images",
            lossUnit: "nats",
          });
        },
        onStep: ({ name }, report) => progress?.step(name, report),
      });
      progress?.pause();
      if (result === undefined) {
        say(`Stopped; what was done is in ${run}. The same command resumes.`);
        process.exitCode = interruption.exitCode() ?? 1;
      } else if (json) printJson({ out, ...result });
      else print(`${out}: ${result.width} features of a classifier with ${(100 * result.accuracy).toFixed(1)} % test accuracy`);
    });
}
