import { Command, Option } from "commander";
import { images, registry, text } from "../../index.ts";
import {
  exportRunAsOnnx,
  exportRunAsSafetensors,
  exportRunForTraining,
  openTrainedRun,
  type TrainedRun,
  type WrittenFile,
} from "../../node.ts";
import { bytes, print, printJson } from "../output.ts";
import { deviceOption, number, positiveNumber, refuseOptions, threadsOption } from "../words.ts";

interface ExportOptions {
  readonly format: "onnx" | "safetensors";
  readonly out?: string;
  readonly training?: boolean;
  readonly steps?: number;
  readonly guidance?: number;
  readonly merge?: boolean;
}

export function exportCommand(): Command {
  return new Command("export")
    .description(
      "write a trained run for other software: as ONNX, one file for each block and one that answers as prediction does, each compared with the library; or as safetensors with configuration, tokenizer and a model card",
    )
    .argument("<run>", "folder of the run")
    .addOption(new Option("--format <name>", "kind of file").choices(["onnx", "safetensors"]).default("onnx"))
    .option("--out <folder>", "folder to write (default: export/, in the run's folder)")
    .option(
      "--training",
      "as ONNX, the training step of each unit in the place of its answer: loss and gradients, for an optimiser elsewhere",
    )
    .option(
      "--steps <n>",
      "steps of the reverse process in the file (default: 18 for images, 32 for masked text, else the run's own)",
      positiveNumber,
    )
    .option("--guidance <s>", "of images: classifier-free guidance in the file (default: 1, none)", number)
    .option("--merge", "as safetensors: adapters (dblocks finetune --lora) added to the weights, in the place of both apart")
    .addOption(deviceOption())
    .addOption(threadsOption())
    .option("--json", "print the files as JSON")
    .action(async (path: string, { json, ...options }, command: Command) => {
      const run = await openTrainedRun(registry, path);
      refuse(command, run, options);
      const files = await write(run, { ...options, out: options.out ?? `${path}/export` });
      if (json) return printJson({ files });
      for (const { path: file, byteLength, difference, loss } of files) {
        const checked = difference === undefined ? "" : `, differs from the library by ${difference.toExponential(1)} at most`;
        const computed = loss === undefined ? "" : `, computed a loss of ${loss.toFixed(3)} of zeros`;
        print(`${file}  ${bytes(byteLength)}${checked}${computed}`);
      }
    });
}

function refuse(command: Command, { task, method }: TrainedRun, { format, training }: ExportOptions): void {
  if (format === "safetensors") refuseOptions(command, ["training", "steps", "guidance"], "it is for --format onnx");
  else refuseOptions(command, ["merge"], "it is for --format safetensors");
  if (training) refuseOptions(command, ["steps", "guidance"], "a training step has no reverse process");
  if (task !== images) refuseOptions(command, ["guidance"], "it is for runs that draw images");
  if (method.name !== "blocks" && task !== images && task !== text) refuseOptions(command, ["steps"], "this run answers in one pass");
}

function write(run: TrainedRun, options: ExportOptions & { readonly out: string }): Promise<readonly WrittenFile[]> {
  const { format, training, steps: numSteps, guidance } = options;
  if (format === "safetensors") return exportRunAsSafetensors(run, options);
  return training ? exportRunForTraining(run, options) : exportRunAsOnnx(run, { ...options, sampling: { numSteps, guidance } });
}
