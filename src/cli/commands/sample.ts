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
    .option("--out <file>", "a grid as .png, the way from noise as .apng, numbers as .safetensors, or a folder/ of PNGs", "samples.png")
    .addOption(new Option("--device <name>", "where to compute (default: the run's own)").choices(["auto", "cpu", "webgpu", "wasm"]))
    .option("--threads <n>", "threads (default: the run's own, else all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async (path: string, options) => {
      const { imageWriter, sampleRun } = await import("../../experiments/index.ts");
      const { count, class: label, seed, batch: batchSize, device, threads, out, json } = options;
      const { guidance, steps: numSteps, sampler, grid, churn } = options;
      const writer = imageWriter(out);
      const interruption = watchInterruption(() => say("Stopping after this batch …"));
      const started = performance.now();
      let told = started;
      const drawn = await sampleRun({
        path,
        count,
        label,
        seed,
        batchSize,
        device,
        threads,
        signal: interruption.signal,
        sampling: { guidance, numSteps, sampler, grid, churn },
        onStart: writer.start,
        onImages: writer.add,
        onStep: (progress) => {
          writer.step?.(progress);
          if (performance.now() - told < 2000) return;
          told = performance.now();
          say(`${progress.done} of ${count} images; step ${progress.step} of ${progress.steps}`);
        },
      });
      await writer.finish();
      const seconds = (performance.now() - started) / 1000;
      if (json) printJson({ out, count: drawn, seconds });
      else print(`${drawn} images in ${seconds.toFixed(1)} s: ${out}`);
      if (drawn < count) process.exitCode = interruption.exitCode() ?? 1;
    });
}
