import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import { parseRunConfig, type RunConfig, type RunConfigOverrides } from "../experiments/index.ts";
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

export function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber);
}

/** A plain flag: what it sets in the configuration. */
interface Flag {
  readonly flags: string;
  readonly description: string;
  readonly parse?: (text: string) => unknown;
  readonly choices?: readonly string[];
  readonly path: string;
}

const defaults = parseRunConfig([]);

/** The flags for what is set most often; everything else is reached by --set. */
const flags: readonly Flag[] = [
  { flags: "--data <path>", description: "data set: CIFAR or MNIST folder, image folder, tar(.gz) of one, or embedded", path: "data.path" },
  { flags: "--augment <kind>", description: "augmentation of training images", choices: ["none", "flip-crop"], path: "data.augmentation" },
  { flags: "--method <name>", description: "how to train", choices: ["blocks", "end-to-end", "shallow-twin"], path: "method" },
  { flags: "--blocks <n>", description: "blocks", parse: wholeNumber, path: "blocks.numBlocks" },
  {
    flags: "--layers-per-block <list>",
    description: "layers of each block, e.g. 3,6,3 (equal unless told)",
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
    description: "partition of the noise range",
    choices: ["equi-probability", "uniform", "uniform-log"],
    path: "blocks.strategy",
  },
  { flags: "--p-mean <x>", description: "mean of ln sigma in training", parse: number, path: "blocks.pMean" },
  { flags: "--p-std <x>", description: "standard deviation of ln sigma in training", parse: number, path: "blocks.pStd" },
  { flags: "--sigma-min <x>", description: "smallest noise level", parse: number, path: "blocks.sigmaMin" },
  { flags: "--sigma-max <x>", description: "largest noise level", parse: number, path: "blocks.sigmaMax" },
  {
    flags: "--shared <policy>",
    description: "what blocks have in common",
    choices: ["owned", "frozen", "together"],
    path: "blocks.shared",
  },
  {
    flags: "--weighting <name>",
    description: "weights of the samples",
    choices: ["none", "edm", "batch-mean"],
    path: "blocks.lossWeighting",
  },
  {
    flags: "--likelihood <name>",
    description: "how the noisy label is read",
    choices: ["exact", "learned"],
    path: "blocks.labelLikelihood",
  },
  {
    flags: "--label-token <place>",
    description: "where the noisy label enters",
    choices: ["separate", "class"],
    path: "network.labelToken",
  },
  { flags: "--layers <n>", description: "layers of the network", parse: wholeNumber, path: "network.numLayers" },
  { flags: "--width <n>", description: "width of the network", parse: wholeNumber, path: "network.width" },
  { flags: "--heads <n>", description: "attention heads", parse: wholeNumber, path: "network.numHeads" },
  { flags: "--patch <pixels>", description: "side of a patch", parse: wholeNumber, path: "network.patchSize" },
  {
    flags: "--mlp-width <n>",
    description: "width of the MLP (four times the network's unless told)",
    parse: wholeNumber,
    path: "network.mlpWidth",
  },
  { flags: "--dropout <share>", description: "dropout", parse: number, path: "network.dropout" },
  {
    flags: "--epochs <n>",
    description: "passes over the data for each block (as many as end-to-end training makes: equal layer evaluations)",
    parse: wholeNumber,
    path: "training.epochs",
  },
  { flags: "--batch <n>", description: "images in a batch", parse: wholeNumber, path: "training.batchSize" },
  { flags: "--accumulate <n>", description: "batches for each update", parse: wholeNumber, path: "training.accumulate" },
  { flags: "--lr <rate>", description: "peak learning rate", parse: number, path: "training.learningRate" },
  { flags: "--weight-decay <x>", description: "decoupled weight decay", parse: number, path: "training.weightDecay" },
  {
    flags: "--ema <decay>",
    description: "moving average of the parameters, used for evaluation (none unless told)",
    parse: number,
    path: "training.emaDecay",
  },
  { flags: "--seed <n>", description: "seed of everything random", parse: wholeNumber, path: "training.seed" },
  {
    flags: "--checkpointing",
    description: "compute activations again in the backward pass instead of keeping them",
    path: "training.checkpointing",
  },
  { flags: "--device <name>", description: "where to compute", choices: ["auto", "cpu", "webgpu", "wasm"], path: "execution.device" },
  { flags: "--threads <n>", description: "threads (all cores unless told)", parse: wholeNumber, path: "execution.threads" },
  {
    flags: "--schedule <name>",
    description: "blocks one after another, in turn, or each in a process of its own",
    choices: ["sequential", "interleaved", "parallel"],
    path: "execution.schedule",
  },
  { flags: "--save-every <steps>", description: "steps between checkpoints", parse: wholeNumber, path: "execution.saveEvery" },
];

/** Adds --config, --preset, --set and the plain flags. */
export function withRunOptions(command: Command): Command {
  command.option("--config <file>", "a configuration file (JSON); flags come on top of it");
  command.addOption(new Option("--preset <name>", "a published configuration to start from").choices(Object.keys(presets)));
  for (const { flags: text, description, parse, choices, path } of flags) {
    const fallback = at(defaults, path);
    const option = new Option(text, fallback === undefined ? description : `${description} (default: ${String(fallback)})`);
    if (parse !== undefined) option.argParser(parse);
    if (choices !== undefined) option.choices(choices);
    command.addOption(option);
  }
  return command.option("--set <path=value...>", "any other setting of the configuration, e.g. --set training.schedule=linear");
}

/** The configuration that the options of a command describe. @throws {UsageError} for unknown keys and wrong values. */
export async function runConfigOf(options: Record<string, unknown>, base: object = {}): Promise<RunConfig> {
  const file = options.config as string | undefined;
  const parts: object[] = [base, presets[options.preset as keyof typeof presets] ?? {}];
  if (file !== undefined) {
    const text = await readFile(file, "utf8").catch((cause: unknown) => {
      throw new UsageError("noConfigFile", { file }, `--config ${file}: the file cannot be read. Check the path.`, { cause });
    });
    parts.push(parseStrictJson(text, file) as object);
  }
  for (const { flags: text, path } of flags) {
    const value = options[optionKey(text)];
    if (value !== undefined) parts.push(nested(path, value));
  }
  for (const assignment of (options.set as string[] | undefined) ?? []) {
    const [path, ...rest] = assignment.split("=");
    if (rest.length === 0)
      throw new UsageError("badSet", { assignment }, `--set ${assignment}: expected is PATH=VALUE, e.g. training.schedule=linear.`);
    parts.push(nested(path!, literal(rest.join("="))));
  }
  return parseRunConfig(parts, "the options");
}

/** The network and training of the official code for CIFAR-100 (METHODS and names as in docs/QUALITY.md). */
const presets: Readonly<Record<"official-cifar100", RunConfigOverrides>> = {
  "official-cifar100": {
    network: {
      width: 128,
      numLayers: 12,
      numHeads: 4,
      mlpWidth: 3072,
      dropout: 0.1,
      labelToken: "class",
      initialization: "normal",
      epsilon: 1e-6,
    },
    blocks: {
      pMean: -1.2,
      pStd: 1.2,
      shared: "together",
      targetEmbedding: "learned",
      lossWeighting: "batch-mean",
      headInput: "mixed",
      labelLikelihood: "learned",
      initialGate: 0,
      sampling: { grid: "equi-probability", bridge: "soft", readout: "last" },
    },
    training: { epochs: 500, batchSize: 128, learningRate: 1e-3, schedule: "constant", warmup: 0, weightDecay: 0.01, clipNorm: 1 },
  },
};

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
