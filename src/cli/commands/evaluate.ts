import { Command } from "commander";
import { images, registry } from "../../index.ts";
import { evaluateGeneration, evaluateRun, imageFid } from "../../node.ts";
import { fidText, generationText } from "../evaluationText.ts";
import { print, printJson, say } from "../output.ts";
import { deviceOption, number, positiveNumber, threadsOption } from "../words.ts";

export function evaluateCommand(): Command {
  return new Command("evaluate")
    .description(
      "measure a trained run: accuracy of the whole and of each block alone, cross-entropy at fixed noise levels; of a model of text the bits for each token; of one of images its losses, and with --features the FID of what it draws",
    )
    .argument("<run>", "folder of the run")
    .option("--data <path>", "data set to evaluate on (default: the run's own)")
    .option("--seeds <n>", "starting noises", positiveNumber, 3)
    .option("--per-class", "show the accuracy of each class")
    .addOption(deviceOption())
    .addOption(threadsOption())
    .option("--features <file>", "of a diffusion model: an ONNX file from images to features, for FID (see dblocks features)")
    .option("--samples <n>", "images drawn for each of three FIDs", positiveNumber, 1000)
    .option("--guidance <s>", "classifier-free guidance of those images", number, 1)
    .option("--steps <n>", "steps of their trajectory", positiveNumber, 18)
    .option("--texts <n>", "of a language model: draw so many continuations of test text and measure them", positiveNumber)
    .option("--teacher <run>", "the run of another language model that judges those continuations")
    .option("--temperature <x>", "of those continuations", number, 1)
    .option("--top-p <p>", "draw among the likeliest tokens that together have this probability", number)
    .option("--json", "print the result as JSON")
    .action(async (run: string, { data, seeds, perClass, device, threads, features, samples, guidance, steps, json, ...text }) => {
      const { task, evaluation } = await evaluateRun({ registry, path: run, dataPath: data, seeds, device, threads });
      const sampling = { guidance, numSteps: steps };
      const fid =
        features === undefined
          ? undefined
          : await imageFid({ registry, path: run, features, samples, sampling, dataPath: data, device, threads, onNotice: say });
      const generation =
        text.texts === undefined
          ? undefined
          : await evaluateGeneration({
              registry,
              path: run,
              texts: text.texts,
              teacher: text.teacher,
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
