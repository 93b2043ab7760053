import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import { methods, parseRunConfig, presets, type RunConfig } from "../experiments/index.ts";
import { parseStrictJson } from "../formats/index.ts";

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("A number is expected.");
  return value;
}

export function wholeNumber(text: string): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("A whole number of at least 0 is expected.");
  return value;
}

export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("A whole number of at least 1 is expected.");
  return value;
}

function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber);
}

function numbers(text: string): number[] {
  return text.split(",").map(number);
}

/** "owned", "frozen", "together", or "average:50". */
function sharedPolicy(text: string): string | { averageEvery: number } {
  const every = /^average:(\d+)$/.exec(text)?.[1];
  if (every !== undefined) return { averageEvery: positiveNumber(every) };
  if (["owned", "frozen", "together"].includes(text)) return text;
  throw new InvalidArgumentError("Allowed choices are owned, frozen, together, average:STEPS.");
}

/** A plain flag: what it sets in the configuration. */
interface Flag {
  readonly flags: string;
  readonly description: string;
  readonly path: string;
  readonly parse?: (text: string) => unknown;
  readonly choices?: readonly string[];
}

/** The flags for what is set most often, by the part of the configuration that they set; everything else is reached by --set. */
const flagGroups: Readonly<Record<string, readonly Flag[]>> = {
  "Data:": [
    {
      flags: "--data <path>",
      description: "data set: CIFAR or MNIST folder, image folder, tar(.gz) of one, or embedded; for text a file of UTF-8",
      path: "data.path",
    },
    {
      flags: "--augment <kind>",
      description: "augmentation of training images",
      choices: ["none", "flip", "flip-crop", "randaugment"],
      path: "data.augmentation",
    },
  ],
  "Network:": [
    { flags: "--layers <n>", description: "layers", parse: positiveNumber, path: "network.numLayers" },
    { flags: "--width <n>", description: "width of the residual stream", parse: positiveNumber, path: "network.width" },
    { flags: "--heads <n>", description: "attention heads", parse: positiveNumber, path: "network.numHeads" },
    {
      flags: "--key-heads <n>",
      description: "of a language model: heads of keys and values (default: as many as attention heads)",
      parse: positiveNumber,
      path: "network.numKeyHeads",
    },
    { flags: "--patch <pixels>", description: "side of a patch", parse: positiveNumber, path: "network.patchSize" },
    {
      flags: "--mlp-width <n>",
      description: "width of the MLP (default: four times the network's)",
      parse: positiveNumber,
      path: "network.mlpWidth",
    },
    { flags: "--dropout <share>", description: "dropout, from 0 to 1", parse: number, path: "network.dropout" },
    {
      flags: "--label-token <place>",
      description: "where the noisy label enters: a token of its own, or in place of the class token",
      choices: ["separate", "class"],
      path: "network.labelToken",
    },
  ],
  "Blocks:": [
    { flags: "--method <name>", description: "how to train", choices: methods, path: "method" },
    { flags: "--blocks <n>", description: "number of blocks", parse: positiveNumber, path: "blocks.numBlocks" },
    {
      flags: "--layers-per-block <list>",
      description: "layers of each block, e.g. 3,6,3 (default: equal shares)",
      parse: wholeNumbers,
      path: "blocks.layersPerBlock",
    },
    {
      flags: "--overlap <gamma>",
      description: "widening of the training ranges, as a share of their width in ln sigma",
      parse: number,
      path: "blocks.overlap",
    },
    {
      flags: "--strategy <name>",
      description: "how the noise range is cut",
      choices: ["equi-probability", "uniform", "uniform-log"],
      path: "blocks.strategy",
    },
    {
      flags: "--boundaries <list>",
      description: "sigmas to cut at instead, from sigma-max down to sigma-min, e.g. 80,9,3,0.002 (see dblocks partition --measured)",
      parse: numbers,
      path: "blocks.boundaries",
    },
    { flags: "--p-mean <x>", description: "mean of ln sigma in training", parse: number, path: "blocks.pMean" },
    { flags: "--p-std <x>", description: "standard deviation of ln sigma in training", parse: number, path: "blocks.pStd" },
    {
      flags: "--sigma-min <x>",
      description: "smallest noise level, in units of the class embeddings",
      parse: number,
      path: "blocks.sigmaMin",
    },
    {
      flags: "--sigma-max <x>",
      description: "largest noise level, in units of the class embeddings",
      parse: number,
      path: "blocks.sigmaMax",
    },
    {
      flags: "--shared <policy>",
      description: "what blocks have in common: owned, frozen, together or average:STEPS",
      parse: sharedPolicy,
      path: "blocks.shared",
    },
    {
      flags: "--weighting <name>",
      description: "weights of the samples in the loss",
      choices: ["none", "edm", "batch-mean"],
      path: "blocks.lossWeighting",
    },
    { flags: "--embedding <kind>", description: "class embeddings", choices: ["orthonormal", "learned"], path: "blocks.targetEmbedding" },
    { flags: "--target-scale <length>", description: "length of a class embedding", parse: number, path: "blocks.targetScale" },
    {
      flags: "--likelihood <name>",
      description: "how the noisy label is read",
      choices: ["exact", "learned"],
      path: "blocks.labelLikelihood",
    },
    {
      flags: "--bridge <kind>",
      description: "from logits to the next state in prediction",
      choices: ["soft", "hard", "sampled"],
      path: "blocks.sampling.bridge",
    },
    {
      flags: "--readout <kind>",
      description: "the answer: last evaluation, evidence of the whole walk, or readings that were trained to say the next token",
      choices: ["last", "evidence", "reading"],
      path: "blocks.sampling.readout",
    },
  ],
  "Text:": [
    {
      flags: "--tokenizer <name>",
      description: "how text becomes tokens: text8, bytes, or a tokenizer.json",
      path: "text.tokenizer",
    },
    { flags: "--length <n>", description: "tokens of a sequence", parse: positiveNumber, path: "text.length" },
    {
      flags: "--reading <depth>",
      description: "how blocks for text read the tokens: each with its own layers, or on top of the finished blocks before it",
      choices: ["own", "stacked"],
      path: "text.reading",
    },
    {
      flags: "--query <start>",
      description: "what the estimate of a token starts from beside its noisy embedding: the token before, or nothing (the paper)",
      choices: ["previous", "blank"],
      path: "text.query",
    },
    {
      flags: "--next-token-weight <x>",
      description: "weight of the reading's own next-token cross-entropy beside the denoising loss",
      parse: number,
      path: "text.nextTokenWeight",
    },
    {
      flags: "--next-token-place <place>",
      description:
        "where that is taken: behind the block's own layers, or with stacked readings behind the whole network, blocks taking turns",
      choices: ["block", "network"],
      path: "text.nextTokenPlace",
    },
    {
      flags: "--group <tokens>",
      description: "tokens of a language model in blocks that are estimated together",
      parse: positiveNumber,
      path: "text.groupSize",
    },
    {
      flags: "--handed-over <share>",
      description: "share of the texts in which a language model's block learns from what the finished blocks before hand over",
      parse: number,
      path: "text.handedOver",
    },
  ],
  "Training:": [
    {
      flags: "--epochs <n>",
      description: "passes over the data for each block: as many as end-to-end training makes, so layer evaluations are equal",
      parse: positiveNumber,
      path: "training.epochs",
    },
    { flags: "--batch <n>", description: "images in a batch", parse: positiveNumber, path: "training.batchSize" },
    { flags: "--accumulate <n>", description: "batches for each update", parse: positiveNumber, path: "training.accumulate" },
    { flags: "--lr <rate>", description: "peak learning rate", parse: number, path: "training.learningRate" },
    {
      flags: "--lr-schedule <kind>",
      description: "course of the learning rate",
      choices: ["cosine", "linear", "constant"],
      path: "training.schedule",
    },
    {
      flags: "--warmup <share>",
      description: "share of the steps in which the learning rate rises",
      parse: number,
      path: "training.warmup",
    },
    { flags: "--weight-decay <x>", description: "decoupled weight decay", parse: number, path: "training.weightDecay" },
    { flags: "--clip <norm>", description: "largest norm of the gradient", parse: number, path: "training.clipNorm" },
    {
      flags: "--ema <decay>",
      description: "moving average of the parameters, used in prediction (default: none)",
      parse: number,
      path: "training.emaDecay",
    },
    {
      flags: "--checkpointing",
      description: "compute activations again in the backward pass instead of keeping them",
      path: "training.checkpointing",
    },
    { flags: "--seed <n>", description: "seed of everything random", parse: wholeNumber, path: "training.seed" },
  ],
  "Execution:": [
    { flags: "--device <name>", description: "where to compute", choices: ["auto", "cpu", "webgpu", "wasm"], path: "execution.device" },
    { flags: "--threads <n>", description: "threads (default: all cores)", parse: positiveNumber, path: "execution.threads" },
    {
      flags: "--schedule <name>",
      description: "blocks one after another, in turn, or each in a process of its own",
      choices: ["sequential", "interleaved", "parallel"],
      path: "execution.schedule",
    },
    { flags: "--save-every <steps>", description: "steps between checkpoints", parse: positiveNumber, path: "execution.saveEvery" },
    {
      flags: "--evaluate-every <epochs>",
      description: "epochs between evaluations of a block; 0 evaluates at the end only",
      parse: wholeNumber,
      path: "execution.evaluateEvery",
    },
  ],
};

const flags = Object.values(flagGroups).flat();

/** Adds --config, --preset, --set and the plain flags, each with its default. */
export function withRunOptions(command: Command): Command {
  const defaults = parseRunConfig([]);
  command.option("--config <file>", "a configuration file (JSON); flags come on top of it");
  command.addOption(new Option("--preset <name>", "a published configuration to start from").choices(Object.keys(presets)));
  command.option(
    "--set <path=value...>",
    "any setting of the configuration, e.g. --set network.initialization=normal; --dry-run shows them all",
  );
  for (const [group, members] of Object.entries(flagGroups)) {
    for (const { flags: text, description, parse, choices, path } of members) {
      const fallback = at(defaults, path);
      const option = new Option(text, fallback === undefined ? description : `${description} (default: ${String(fallback)})`).helpGroup(
        group,
      );
      if (parse !== undefined) option.argParser(parse);
      if (choices !== undefined) option.choices(choices);
      command.addOption(option);
    }
  }
  return command;
}

/** Whether options say anything of what is learned, rather than where and how it is executed. */
export function describesRun(options: Readonly<Record<string, unknown>>): boolean {
  if (["config", "preset", "set"].some((name) => options[name] !== undefined)) return true;
  return flags.some(({ flags: text, path }) => !path.startsWith("execution.") && options[optionKey(text)] !== undefined);
}

/**
 * The configuration that the options of a command describe: `base`, then --preset, --config, flags and --set, each over those before.
 *
 * @throws {UsageError} for unknown keys and wrong values.
 */
export async function runConfigOf(options: Readonly<Record<string, unknown>>, base: object = {}): Promise<RunConfig> {
  const file = options.config as string | undefined;
  const parts: object[] = [base, presets[options.preset as keyof typeof presets] ?? {}];
  if (file !== undefined) parts.push(await readConfigFile(file));
  for (const { flags: text, path } of flags) {
    const value = options[optionKey(text)];
    if (value !== undefined) parts.push(nested(path, value));
  }
  for (const assignment of (options.set as string[] | undefined) ?? []) {
    const [path, ...rest] = assignment.split("=");
    if (rest.length === 0)
      throw new UsageError("badSet", { assignment }, `--set ${assignment}: expected is PATH=VALUE, e.g. training.floor=0.1.`);
    parts.push(nested(path!, literal(rest.join("="))));
  }
  return parseRunConfig(parts, "the options");
}

async function readConfigFile(file: string): Promise<object> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new UsageError("noConfigFile", { file }, `--config ${file}: the file cannot be read. Check the path.`, { cause });
  });
  const value = parseStrictJson(text, file);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError("badConfigFile", { file }, `--config ${file}: expected is a JSON object, such as --dry-run prints.`);
}

/** "--p-mean <x>" -> "pMean" */
function optionKey(text: string): string {
  return text
    .split(" ")[0]!
    .slice(2)
    .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function nested(path: string, value: unknown): object {
  return path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
}

function at(value: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], value);
}

/** JSON where it is JSON, else the text itself. */
function literal(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
