import { Command, Option } from "commander";
import {
  images as imagesTask,
  isLanguageModel,
  nearest,
  registry,
  type SamplerName,
  samplerNames,
  text as textTask,
  UsageError,
} from "../../index.ts";
import { type DeviceChoice, imageWriter, openTrainedRun, type TrainedRun, trainedModelOf } from "../../node.ts";
import { watchInterruption } from "../interruption.ts";
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
  wholeNumber,
} from "../words.ts";

interface SampleOptions extends DeviceChoice {
  readonly count?: number;
  readonly seed: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly json?: boolean;
  readonly checkpoint?: "best" | "last";
  readonly class?: string;
  readonly guidance: number;
  readonly sampler: SamplerName;
  readonly grid: "karras" | "equi-probability";
  readonly churn: number;
  readonly out: string;
  readonly prompt?: string;
  readonly temperature: number;
  readonly tokens?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly stop?: readonly string[];
}

/** Options that only one kind of run has. */
const imageOptions = ["class", "guidance", "sampler", "grid", "churn", "out"];
const textOptions = ["prompt", "tokens", "temperature", "topK", "topP", "stop"];

export function sampleCommand(): Command {
  return new Command("sample")
    .description("draw images or text from a trained run; at each noise level only the block that owns it is asked")
    .argument("<run>", "folder of the run")
    .option("--count <n>", "how many (default: 64 images, 5 texts)", positiveNumber)
    .option("--seed <n>", "seed; item i of a seed is the same in any count and batch", wholeNumber, 0)
    .option("--steps <n>", "steps of the trajectory (default: 18 for images, one for each token of a text)", positiveNumber)
    .option("--batch <n>", "items that the network is asked about at once (default: 32 images, 8 texts)", positiveNumber)
    .addOption(checkpointOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .option("--json", "print the result as JSON")
    .optionsGroup("Images:")
    .option("--class <class>", "class of all images, by number or name (default: all classes in turn)")
    .option("--guidance <s>", "classifier-free guidance; 1 is none", number, 1)
    .addOption(new Option("--sampler <name>", "how a step is made").choices(samplerNames).default("heun"))
    .addOption(new Option("--grid <name>", "noise levels of the trajectory").choices(["karras", "equi-probability"]).default("karras"))
    .option("--churn <amount>", "noise added and taken away again on the way (S_churn)", number, 0)
    .option("--out <file>", "a grid as .png, the way from noise as .apng, numbers as .safetensors, or a folder/ of PNGs", "samples.png")
    .optionsGroup("Text:")
    .option("--prompt <text>", "how every text begins")
    .option("--tokens <n>", "of a language model: tokens after the prompt (default: 50, or what there is room for)", positiveNumber)
    .option("--temperature <x>", "below 1, likelier tokens are drawn more often; 0 takes the likeliest", nonNegative, 1)
    .option("--top-k <n>", "draw among so many of the likeliest tokens", positiveNumber)
    .option("--top-p <p>", "draw among the likeliest tokens that together have this probability", probability)
    .option("--stop <text...>", "of a language model: end a text before any of these")
    .action(async (path: string, options: SampleOptions, command: Command) => {
      const run = await openTrainedRun(registry, path, { checkpoint: options.checkpoint, onNotice: say });
      const isText = run.task === textTask;
      refuseOptions(command, isText ? imageOptions : textOptions, `${path} draws ${isText ? "text" : "images"}, which has no such option`);
      if (isText && !isLanguageModel(run.method))
        refuseOptions(command, ["tokens", "stop"], `${path} fills whole sequences of masked tokens, which has no such option`);
      await (isText ? sampleTexts : sampleImages)(run, options);
    });
}

async function sampleImages(run: TrainedRun, options: SampleOptions): Promise<void> {
  const { count = 64, seed, batch: batchSize = 32, device, threads, out, json } = options;
  const { guidance, steps: numSteps = 18, sampler, grid, churn } = options;
  const writer = imageWriter(out);
  const interruption = watchInterruption(() => say("Stopping after this batch …"));
  const started = performance.now();
  let told = started;
  let drawn = 0;
  await using model = await trainedModelOf(run, { task: imagesTask, batchSize, device, threads });
  const { channels, height: size, isLatent, classNames } = model.info;
  const label = options.class === undefined ? undefined : classOf(options.class, classNames);
  await writer.start({ channels, size, numBlocks: model.numBlocks, isLatent });
  await model.sample({
    count,
    label,
    seed,
    signal: interruption.signal,
    guidance,
    numSteps,
    sampler,
    grid,
    churn,
    onImages: async (images) => {
      drawn += images.count;
      await writer.add(images);
    },
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
}

/** A class by its number or name. @throws {UsageError} if there is none of this name. */
function classOf(given: string, names: readonly string[]): number {
  if (/^\d+$/.test(given)) return Number(given);
  const label = names.indexOf(given);
  if (label >= 0) return label;
  const known = names.length <= 20 ? names : [...names.slice(0, 20), "…"];
  const message = `--class ${given}: there is no class of this name.${nearest(given, names)} Classes: ${known.join(", ") || "none"}.`;
  throw new UsageError("unknownClass", { given, names }, message);
}

async function sampleTexts(run: TrainedRun, options: SampleOptions): Promise<void> {
  const { count = 5, seed, steps: numSteps, device, threads, prompt, tokens, stop, json } = options;
  const { temperature, topK, topP } = options;
  const batchSize = options.batch ?? Math.min(8, count);
  const interruption = watchInterruption(() => say("Stopping after this batch …"));
  const texts: { readonly text: string; readonly tokens: readonly number[] }[] = [];
  const appears = !json && batchSize === 1;
  let written = 0;
  await using model = await trainedModelOf(run, { task: textTask, batchSize, device, threads });
  await model.sample({
    count,
    prompt,
    tokens,
    stop,
    seed,
    sampling: { temperature, topK, topP, ...(numSteps !== undefined && { numSteps }) },
    signal: interruption.signal,
    onPiece: appears
      ? (piece) => {
          process.stdout.write(piece);
          written += piece.length;
        }
      : undefined,
    onText: (text, own) => {
      texts.push({ text, tokens: [...own] });
      if (json) return;
      // What appeared token by token needs its end only.
      if (appears && written > 0) print(text.slice(written));
      else print(count === 1 ? text : `${texts.length}. ${text}`);
      written = 0;
    },
  });
  if (json) printJson(texts);
  if (texts.length < count) process.exitCode = interruption.exitCode() ?? 1;
}
