import { Command, Option } from "commander";
import { registry } from "../../index.ts";
import { startFinetuning, trainRun } from "../../node.ts";
import { watchInterruption } from "../interruption.ts";
import { print, printJson, say } from "../output.ts";
import { TrainingProgress } from "../progress.ts";
import { list, number, positiveNumber, refuseOptions, wholeNumber } from "../words.ts";

export function finetuneCommand(): Command {
  return new Command("finetune")
    .description(
      "go on with a language model that was trained end to end, in blocks: one block learns at a time, on denoising and on the next-token loss behind the whole network; or end to end; with adapters of low rank, if you like. Before the first step it answers as the pretrained network does",
    )
    .requiredOption("--from <run>", "the run of the pretrained network (of one from elsewhere: dblocks import)")
    .requiredOption("--data <path>", "the text to learn")
    .option("--tokenizer <name>", "text8, bytes or a tokenizer.json (default: what the pretrained run was told)")
    .option("--blocks <n>", "blocks that the layers are cut into", positiveNumber, 4)
    .addOption(
      new Option("--method <name>", "one block at a time, or all layers at once").choices(["blocks", "end-to-end"]).default("blocks"),
    )
    .option("--units <list>", "blocks that learn, e.g. block-2,block-3, while the others stay as they are (default: all)", list)
    .option("--lora <rank>", "train adapters of this rank, and leave what was pretrained as it is", positiveNumber)
    .option("--run <folder>", "where the new run is kept; the same command resumes it", "runs/finetuned")
    .option("--epochs <n>", "passes over the data for each block", number, 1)
    .option("--max-steps <n>", "at most so many updates of each block", positiveNumber)
    .option("--batch <n>", "samples in a batch", positiveNumber)
    .option("--lr <x>", "learning rate", number, 3e-4)
    .option("--seed <n>", "seed", wholeNumber, 0)
    .option("--threads <n>", "threads (default: all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(
      async (
        { from, data, tokenizer, blocks, method, units, lora, run, epochs, maxSteps, batch, lr, seed, threads, json },
        command: Command,
      ) => {
        if (method === "end-to-end") refuseOptions(command, ["blocks", "units"], "end to end all layers learn at once");
        const config = await startFinetuning({
          registry,
          from,
          path: run,
          dataPath: data,
          numBlocks: method === "blocks" ? blocks : undefined,
          lora,
          units,
          overrides: {
            training: { epochs, seed, learningRate: lr, ...(maxSteps && { maxSteps }), ...(batch && { batchSize: batch }) },
            data: tokenizer === undefined ? {} : { tokenizer },
            execution: { ...(threads && { threads }) },
          },
        });
        const interruption = watchInterruption(() => say("Stopping after this step …"));
        let progress: TrainingProgress | undefined;
        const { evaluation, ...result } = await trainRun({
          registry,
          path: run,
          config,
          signal: interruption.signal,
          onNotice: say,
          onStart: ({ config: { training }, steps, units, task }) => {
            progress = new TrainingProgress({
              units: units.map(({ name }) => name),
              steps,
              countPerStep: training.batchSize,
              counted: task.samples,
              lossUnit: task.lossUnit,
            });
          },
          onStep: ({ name }, report) => progress?.step(name, report),
        });
        progress?.pause();
        if (evaluation === undefined) {
          say(`Stopped; what was done is in ${run}. The same command resumes.`);
          process.exitCode = interruption.exitCode() ?? 1;
        } else if (json) printJson({ run, ...result, evaluation });
        else print(registry.model(config.model.name).task.textOf(evaluation));
      },
    );
}
