import { z } from "zod";
import type { ClassEmbedding } from "../baselines/index.ts";
import type {
  HeadInput,
  LabelLikelihood,
  LanguageSampling,
  LossWeighting,
  NextTokenPlace,
  QueryStart,
  ReadingDepth,
  SharedPolicy,
  TargetEmbedding,
} from "../blocks/index.ts";
import { type Augmentation, augmentations } from "../data/index.ts";
import { classNoise, edmNoise, type MaskingSchedule, type PartitionStrategy } from "../diffusion/index.ts";
import { parseConfig } from "../run/index.ts";

/**
 * The architectures: a vision transformer, a diffusion transformer that makes images, a transformer that makes text by revealing hidden tokens, a language model that writes token by token, one that does so by recurrent depth (numLayers are those of its core), a multi-layer perceptron
 * (of `network` it uses width and numLayers), and NoProp's convolutional network (dropout).
 */
export const models = ["vit", "dit", "masked-diffusion", "autoregressive", "recurrent-depth", "mlp", "noprop-cnn"] as const;

/** Those that learn from text. */
export const textModels: readonly string[] = ["masked-diffusion", "autoregressive", "recurrent-depth"];

/** The ways of training. */
export const methods = [
  "blocks",
  "end-to-end",
  "shallow-twin",
  "twin-ensemble",
  "greedy",
  "forward-forward",
  "contrastive-ff",
  "backprop",
  "noprop-dt",
  "noprop-ct",
  "noprop-fm",
] as const;

/** A run, whole: what config.json holds. Defaults are those that docs/QUALITY.md found best. */
export interface RunConfig {
  readonly model: (typeof models)[number];
  readonly method: (typeof methods)[number];
  readonly network: {
    readonly patchSize: number;
    readonly width: number;
    readonly numLayers: number;
    readonly numHeads: number;
    readonly numKeyHeads?: number | undefined;
    readonly mlpWidth?: number | undefined;
    readonly dropout: number;
    readonly labelToken: "separate" | "class";
    readonly initialization: "fan-in" | "normal";
    readonly epsilon: number;
  };
  readonly blocks: {
    readonly numBlocks: number;
    readonly layersPerBlock?: readonly number[] | undefined;
    readonly strategy: PartitionStrategy;
    /** Sigmas to cut at instead, from sigmaMax down to sigmaMin. */
    readonly boundaries?: readonly number[] | undefined;
    readonly overlap: number;
    readonly pMean: number;
    readonly pStd: number;
    readonly sigmaMin: number;
    readonly sigmaMax: number;
    readonly sigmaData: number;
    readonly shared: SharedPolicy;
    readonly targetEmbedding: TargetEmbedding;
    readonly targetScale: number;
    readonly lossWeighting: LossWeighting;
    readonly headInput: HeadInput;
    readonly labelLikelihood: LabelLikelihood;
    readonly initialGate: 0 | 1;
    readonly condWidth?: number | undefined;
    readonly sampling: { readonly numSteps?: number | undefined } & Omit<LanguageSampling, "numSteps">;
  };
  /** For the model noprop-cnn. */
  readonly noProp: {
    readonly embedding: ClassEmbedding;
    readonly embeddingWidth: number;
    readonly numSteps: number;
    readonly eta?: number | undefined;
    readonly inferenceSteps: number;
  };
  /** For the model dit. */
  readonly images: {
    readonly conditional: boolean;
    readonly labelDropout: number;
  };
  /** For models of text. */
  readonly text: {
    readonly tokenizer: string;
    readonly length: number;
    readonly masking: MaskingSchedule;
    readonly reading: ReadingDepth;
    readonly query: QueryStart;
    readonly nextTokenWeight: number;
    readonly nextTokenPlace: NextTokenPlace;
    readonly groupSize: number;
    readonly handedOver: number;
    readonly recurrence: {
      readonly preludeLayers: number;
      readonly codaLayers: number;
      readonly mean: number;
      readonly backpropDepth: number;
    };
  };
  readonly training: {
    readonly epochs: number;
    readonly batchSize: number;
    readonly accumulate: number;
    readonly optimizer: "adamW" | "sgd";
    readonly learningRate: number;
    readonly schedule: "cosine" | "linear" | "constant";
    readonly warmup: number;
    readonly floor: number;
    readonly weightDecay: number;
    readonly clipNorm: number;
    readonly emaDecay?: number | undefined;
    readonly checkpointing: boolean;
    readonly seed: number;
  };
  readonly data: {
    readonly path: string;
    /** The data set that was found at `path`; written when a run starts, so that it can be evaluated on data elsewhere. */
    readonly name?: string | undefined;
    readonly augmentation: Augmentation;
  };
  readonly execution: {
    readonly device: "auto" | "cpu" | "webgpu" | "wasm";
    readonly threads?: number | undefined;
    readonly schedule: "sequential" | "interleaved" | "parallel";
    readonly saveEvery: number;
    readonly logEvery: number;
    readonly keepLast: number;
    readonly evaluateEvery: number;
  };
}

const count = z.int().min(1);
const share = z.number().min(0).max(1);

const network = z
  .strictObject({
    patchSize: count.default(4),
    width: count.default(96),
    numLayers: count.default(6),
    numHeads: count.default(4),
    numKeyHeads: count.optional().describe("of the autoregressive model: heads of keys and values; as many as heads unless told"),
    mlpWidth: count.optional().describe("four times the width unless told"),
    dropout: share.default(0),
    labelToken: z.enum(["separate", "class"]).default("separate"),
    initialization: z.enum(["fan-in", "normal"]).default("fan-in"),
    epsilon: z.number().positive().default(1e-6),
  })
  .prefault({});

const sampling = z
  .strictObject({
    numSteps: count.optional(),
    grid: z.enum(["equi-probability", "karras", "block-entry"]).default("equi-probability"),
    bridge: z.enum(["soft", "hard", "sampled"]).default("soft"),
    readout: z
      .enum(["last", "evidence", "reading"])
      .default("evidence")
      .describe("reading: of autoregressive blocks with a next-token loss"),
  })
  .prefault({});

const blocks = z
  .strictObject({
    numBlocks: count.default(3),
    layersPerBlock: z.array(count).readonly().optional(),
    strategy: z.enum(["equi-probability", "uniform", "uniform-log"]).default("equi-probability"),
    boundaries: z.array(z.number().positive()).readonly().optional().describe("sigmas to cut at instead, from sigmaMax down to sigmaMin"),
    overlap: z.number().min(0).default(0.05),
    pMean: z.number().default(classNoise.pMean),
    pStd: z.number().positive().default(classNoise.pStd),
    sigmaMin: z.number().positive().default(classNoise.sigmaMin),
    sigmaMax: z.number().positive().default(classNoise.sigmaMax),
    sigmaData: z.number().positive().default(classNoise.sigmaData),
    shared: z.union([z.enum(["owned", "frozen", "together"]), z.strictObject({ averageEvery: count })]).default("owned"),
    targetEmbedding: z.enum(["orthonormal", "learned"]).default("orthonormal"),
    targetScale: z.number().positive().default(1),
    lossWeighting: z.enum(["none", "edm", "batch-mean"]).default("none"),
    headInput: z.enum(["features", "mixed"]).default("features"),
    labelLikelihood: z.enum(["exact", "learned"]).default("exact"),
    initialGate: z.union([z.literal(0), z.literal(1)]).default(1),
    condWidth: count.optional().describe("a sixth of the width unless told"),
    sampling,
  })
  .prefault({});

const noProp = z
  .strictObject({
    embedding: z.enum(["one-hot", "learned", "prototype"]).default("one-hot"),
    embeddingWidth: count.default(20).describe("of learned embeddings"),
    numSteps: count.default(10).describe("blocks of NoProp-DT and of backprop"),
    eta: z.number().positive().optional().describe("weight of the denoising term: 0.1 for NoProp-DT, 1 for NoProp-CT unless told"),
    inferenceSteps: count.default(1000).describe("of NoProp-CT and NoProp-FM"),
  })
  .prefault({});

const images = z
  .strictObject({
    conditional: z.boolean().default(true).describe("whether images are made by class"),
    labelDropout: share.default(0.1).describe("share of the training images whose class is hidden"),
  })
  .prefault({});

const text = z
  .strictObject({
    tokenizer: z
      .string()
      .default("auto")
      .describe("text8, bytes or the path of a tokenizer.json; auto: text8 if nothing but a to z and spaces occurs, else bytes"),
    length: count.default(128).describe("tokens of a sequence"),
    masking: z.enum(["linear", "cosine"]).default("linear").describe("of masked-diffusion: how many tokens are hidden at which time"),
    reading: z
      .enum(["own", "stacked"])
      .default("own")
      .describe("of blocks for text: whether each reads the tokens with its own layers, or on top of the finished blocks before it"),
    query: z
      .enum(["previous", "blank"])
      .default("previous")
      .describe("of autoregressive blocks: what the estimate of a token starts from beside its noisy embedding"),
    nextTokenWeight: z
      .number()
      .min(0)
      .default(0)
      .describe("of autoregressive blocks: weight of the reading's own next-token cross-entropy"),
    nextTokenPlace: z
      .enum(["block", "network"])
      .default("block")
      .describe("where that is taken: behind the block's own layers, or of stacked readings behind all layers, the blocks taking turns"),
    groupSize: count.default(1).describe("of autoregressive blocks: tokens that are estimated together, as in Block Diffusion"),
    handedOver: share
      .default(0)
      .describe("of autoregressive blocks: share of the texts whose noisy embeddings are what the finished blocks before hand over"),
    recurrence: z
      .strictObject({
        preludeLayers: count.default(2),
        codaLayers: count.default(2),
        mean: count.default(32).describe("recurrences on average in end-to-end training, and in prediction"),
        backpropDepth: count.default(8).describe("recurrences that the gradient of end-to-end training goes back through"),
      })
      .prefault({})
      .describe("of recurrent-depth"),
  })
  .prefault({});

const training = z
  .strictObject({
    epochs: count.default(15),
    batchSize: count.default(128),
    accumulate: count.default(1),
    optimizer: z.enum(["adamW", "sgd"]).default("adamW"),
    learningRate: z.number().positive().default(1.5e-3),
    schedule: z.enum(["cosine", "linear", "constant"]).default("cosine"),
    warmup: share.default(0.05).describe("share of the steps"),
    floor: share.default(0.01).describe("last learning rate, as a share of the first"),
    weightDecay: z.number().min(0).default(0.01),
    clipNorm: z.number().positive().default(1),
    emaDecay: share.optional(),
    checkpointing: z.boolean().default(false),
    seed: z.int().default(0),
  })
  .prefault({});

const data = z
  .strictObject({
    path: z.string().default("embedded").describe("its format is recognised by what is there"),
    name: z.string().optional().describe("filled in when a run starts"),
    augmentation: z.enum(augmentations as [Augmentation, ...Augmentation[]]).default("flip-crop"),
  })
  .prefault({});

/** Where and how a run is executed. Another machine may go on with other values. */
const execution = z
  .strictObject({
    device: z.enum(["auto", "cpu", "webgpu", "wasm"]).default("auto"),
    threads: count.optional().describe("all cores unless told"),
    schedule: z.enum(["sequential", "interleaved", "parallel"]).default("sequential"),
    saveEvery: count.default(200).describe("steps"),
    logEvery: count.default(10).describe("steps"),
    keepLast: count.default(2).describe("checkpoints of each unit"),
    evaluateEvery: z.int().min(0).default(1).describe("epochs; 0 evaluates at the end only"),
  })
  .prefault({});

/** config.json: everything that is needed to repeat a run. Keys that are not listed here are refused. */
export const runConfigSchema: z.ZodType<RunConfig> = z.strictObject({
  model: z.enum(models).default("vit"),
  method: z.enum(methods).default("blocks"),
  network,
  blocks,
  noProp,
  images,
  text,
  training,
  data,
  execution,
});

type Overrides<T> = {
  readonly [K in keyof T]?: NonNullable<T[K]> extends readonly unknown[] ? T[K] : NonNullable<T[K]> extends object ? Overrides<T[K]> : T[K];
};

/** Any part of a configuration. */
export type RunConfigOverrides = Overrides<RunConfig>;

/** Where a model's own defaults differ from the general ones. The perceptron's are for digits. Images keep EDM's noise. NoProp's are those of its Table 3; conditioning is as wide as its time path's embedding. */
const modelDefaults: Readonly<Partial<Record<string, RunConfigOverrides>>> = {
  mlp: {
    network: { width: 1000, numLayers: 2 },
    training: { epochs: 60, batchSize: 100, learningRate: 2e-3 },
    data: { augmentation: "none" },
  },
  dit: {
    network: { patchSize: 4, width: 128 },
    blocks: { pMean: edmNoise.pMean, lossWeighting: "edm", initialGate: 0 },
    training: { batchSize: 16, learningRate: 3e-3, weightDecay: 0, emaDecay: 0.999 },
    data: { augmentation: "flip" },
  },
  "masked-diffusion": {
    network: { width: 128 },
    blocks: { initialGate: 0 },
    training: { epochs: 10, learningRate: 3e-3, weightDecay: 0.03, emaDecay: 0.999, batchSize: 16 },
    data: { augmentation: "none" },
  },
  autoregressive: {
    network: { width: 128, numLayers: 8, epsilon: 1e-5 },
    blocks: { numBlocks: 4, overlap: 0.1 },
    training: { epochs: 5, learningRate: 2e-3, weightDecay: 0, emaDecay: 0.999, batchSize: 32 },
    data: { augmentation: "none" },
  },
  "recurrent-depth": {
    network: { width: 128, numLayers: 4, epsilon: 1e-6 },
    blocks: { numBlocks: 1, overlap: 0, sampling: { numSteps: 32 } },
    training: { epochs: 5, learningRate: 1e-3, weightDecay: 0, emaDecay: 0.999, batchSize: 32 },
    data: { augmentation: "none" },
  },
  "noprop-cnn": {
    network: { dropout: 0.2 },
    blocks: { overlap: 0.1, condWidth: 64 },
    training: { learningRate: 1e-3, weightDecay: 1e-3 },
    data: { augmentation: "none" },
  },
};

/**
 * A configuration from parts, later ones over earlier ones, and defaults for the rest.
 *
 * @throws {UsageError} that names unknown keys and wrong values.
 */
export function parseRunConfig(parts: readonly object[], where = "the configuration"): RunConfig {
  const given = parts.reduce(merge, {}) as { readonly model?: string };
  return parseConfig(runConfigSchema, merge(modelDefaults[given.model ?? ""] ?? {}, given), where);
}

function merge(base: object, over: object): object {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const present = result[key];
    if (value !== undefined) result[key] = isGroup(present) && isGroup(value) ? merge(present, value) : value;
  }
  return result;
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The part of a configuration that decides what is learned, with the name of the data set that it is learned from: checkpoints of another one
 * are never loaded. Device, threads, schedule, the path of the data and how predictions are made may change.
 */
export function identityOf(
  { model, method, network, blocks, noProp, images, text, training, data: { augmentation } }: RunConfig,
  datasetName: string,
): object {
  const used = {
    ...(method !== "end-to-end" && { blocks: { ...blocks, sampling: undefined } }),
    ...(model === "dit" && { images }),
    ...(textModels.includes(model) && { text }),
    ...(model === "noprop-cnn" && { noProp: { ...noProp, inferenceSteps: undefined } }),
  };
  return { model, method, network, ...used, training, data: { name: datasetName, augmentation } };
}
