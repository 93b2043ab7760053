import { Command } from "commander";
import { type ImageDataset, images, isLanguageModel, registry, type TextDataset, text as textTask } from "../../index.ts";
import { evaluateGeneration, evaluateRun, evaluationData, imageFid, openTrainedRun } from "../../node.ts";
import { fidText, generationText } from "../evaluationText.ts";
import { print, printJson, say } from "../output.ts";
import {
  checkpointOption,
  deviceOption,
  nonNegative,
  number,
  positiveNumber,
  probability,
  refuseOptions,
  threadsOption,
} from "../words.ts";

export function evaluateCommand(): Command {
  return new Command("evaluate")
    .description(
      "measure a trained run: accuracy of the whole and of each block alone, cross-entropy at fixed noise levels; of a model of text the bits for each token; of one of images its losses, and with --features the FID of what it draws",
    )
    .argument("<run>", "folder of the run")
    .option("--data <path>", "data set to evaluate on (default: the run's own)")
    .option("--seeds <n>", "starting noises", positiveNumber, 3)
    .option("--per-class", "show the accuracy of each class")
    .addOption(checkpointOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .option("--features <file>", "of a diffusion model: an ONNX file from images to features, for FID (see dblocks features)")
    .option("--samples <n>", "images drawn for each of three FIDs", positiveNumber, 1000)
    .option("--guidance <s>", "classifier-free guidance of those images", number, 1)
    .option("--steps <n>", "steps of their trajectory", positiveNumber, 18)
    .option("--texts <n>", "of a language model: draw so many continuations of test text and measure them", positiveNumber)
    .option("--teacher <run>", "the run of another language model that judges those continuations")
    .option("--mauve", "how near the continuations are to the true ones, by the features of the teacher, one trained end to end")
    .option("--continuations <n>", "of each prompt, for MAUVE (default: 1; the paper: 5, of 1000 prompts)", positiveNumber)
    .option("--new-tokens <n>", "tokens that are drawn (default: half a sequence; the paper: 50)", positiveNumber)
    .option("--temperature <x>", "of those continuations", nonNegative, 1)
    .option("--top-p <p>", "draw among the likeliest tokens that together have this probability", probability)
    .option("--json", "print the result as JSON")
    .action(async (run: string, options, command: Command) => {
      const { checkpoint, data: path, seeds, perClass, device, threads, features, samples, guidance, steps, json, ...text } = options;
      const opened = await openTrainedRun(registry, run, { checkpoint, onNotice: say });
      const { task } = opened;
      const has = (names: readonly string[], isThere: boolean, why: string): void => {
        if (!isThere) refuseOptions(command, names, why);
      };
      const isText = task === textTask;
      const isLanguage = isLanguageModel(opened.method);
      has(["features", "samples", "guidance", "steps"], task === images, "it is for runs that draw images");
      has(
        ["texts", "teacher", "mauve", "continuations", "newTokens", "temperature", "topP"],
        isLanguage,
        "it is for language models, which write token by token",
      );
      has(["seeds"], task !== images && !isLanguage, "the evaluation of this run starts from no noise of its own");
      has(["perClass"], !isText && task !== images, "it is for runs that classify");
      has(["samples", "guidance", "steps"], features !== undefined, "images are drawn only with --features FILE");
      has(["teacher", "mauve", "newTokens", "temperature", "topP"], text.texts !== undefined, "texts are drawn only with --texts N");
      has(["continuations"], text.mauve === true, "more than one is drawn for --mauve");
      const data = await evaluationData(opened, path);
      const evaluation = await evaluateRun(opened, { data, seeds, device, threads });
      const sampling = { guidance, numSteps: steps };
      const fid =
        features === undefined
          ? undefined
          : await imageFid(opened, { features, samples, sampling, data: data as ImageDataset, device, threads, onNotice: say });
      const generation =
        text.texts === undefined
          ? undefined
          : await evaluateGeneration(opened, {
              texts: text.texts,
              mauve: text.mauve,
              continuations: text.continuations,
              newTokens: text.newTokens,
              teacher: text.teacher && (await openTrainedRun(registry, text.teacher)),
              data: data as TextDataset,
              sampling: { temperature: text.temperature, topP: text.topP },
              device,
              threads,
            });
      if (json) return printJson({ ...evaluation, ...(fid && { fid }), ...(generation && { generation }) });
      print(task.textOf(evaluation));
      if (generation) print(generationText(generation));
      if (fid) print(fidText(fid));
      else if (task === images) say("FID needs features: --features FILE; dblocks features --data PATH makes some.");
      if (perClass) for (const line of task.detailsOf(evaluation)) print(line);
    });
}
