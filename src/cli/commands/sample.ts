import { Command, Option } from "commander";
import { watchInterruption } from "../interruption.ts";
import { number, positiveNumber, wholeNumber } from "../options.ts";
import { print, printJson, say } from "../output.ts";

export function sampleCommand(): Command {
  return new Command("sample")
    .description("draw images from a trained run of a diffusion model; at each noise level only the block that owns it is asked")
    .argument("<run>", "folder of the run")
    .option("--count <n>", "images", positiveNumber, 64)
    .option("--class <n>", "class of all images (default: all classes in turn)", wholeNumber)
    .option("--guidance <s>", "classifier-free guidance; 1 is none", number, 1)
    .option("--steps <n>", "steps of the walk", positiveNumber, 18)
    .addOption(new Option("--sampler <name>", "how a step is made").choices(["euler", "heun", "dpm++2m"]).default("heun"))
    .addOption(new Option("--grid <name>", "noise levels of the walk").choices(["karras", "equi-probability"]).default("karras"))
    .option("--churn <amount>", "noise added and taken away again on the way (S_churn)", number, 0)
    .option("--seed <n>", "seed; image i of a seed is the same in any count and batch", wholeNumber, 0)
    .option("--batch <n>", "images that the network is asked about at once", positiveNumber, 32)
    .option("--out <file>", "a grid as .png, or numbers as .safetensors", "samples.png")
    .addOption(new Option("--device <name>", "where to compute (default: the run's own)").choices(["auto", "cpu", "webgpu", "wasm"]))
    .option("--threads <n>", "threads (default: the run's own, else all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async (path: string, options) => {
      const { checkImageFile, sampleRun, writeImages } = await import("../../experiments/index.ts");
      const { count, class: label, seed, batch, device, threads, out, json } = options;
      const { guidance, steps: numSteps, sampler, grid, churn } = options;
      checkImageFile(out);
      const interruption = watchInterruption(() => say("Stopping after this batch …"));
      const started = performance.now();
      let told = started;
      const result = await sampleRun({
        path,
        count,
        label,
        seed,
        batchSize: batch,
        device,
        threads,
        signal: interruption.signal,
        sampling: { guidance, numSteps, sampler, grid, churn },
        onProgress: (images, step, steps) => {
          if (performance.now() - told < 2000) return;
          told = performance.now();
          say(`${images} of ${count} images; step ${step} of ${steps}`);
        },
      });
      if (result.count > 0) await writeImages(out, result);
      const seconds = (performance.now() - started) / 1000;
      if (json) printJson({ out, count: result.count, seconds });
      else print(`${result.count} images in ${seconds.toFixed(1)} s: ${out}`);
      if (result.count < count) process.exitCode = interruption.exitCode() ?? 1;
    });
}
