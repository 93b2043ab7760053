import { type ConfigPart, classNoise, edmNoise, type MaskingSchedule, parseRunConfig, type RunConfig, registry } from "diffusion-blocks";
import { embedded, type Modality } from "./ownData.ts";

/** The models of the page. */
export type ModelName = "vit" | "dit" | "masked-diffusion";

/** What can be chosen on the page; everything else is the package's default. */
export interface Settings {
  readonly model: ModelName;
  /** What is learned from: the embedded data, or data that were handed over. */
  readonly data: string;
  /** Trained side by side. */
  readonly methods: readonly string[];
  readonly numBlocks: number;
  readonly numLayers: number;
  readonly width: number;
  /** Of pictures, the side of a patch; of text, the characters of a sequence. */
  readonly patchSize: number;
  readonly length: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Updates of each unit. */
  readonly steps: number;
  readonly seed: number;
  /** Of noise: the distribution of ln sigma. Of masks: how their share falls with time. */
  readonly pMean: number;
  readonly pStd: number;
  readonly masking: MaskingSchedule;
  readonly overlap: number;
  readonly order: "interleaved" | "sequential";
  readonly backend: "wasm" | "webgpu";
}

/** What the page knows of a model. */
interface Kind {
  readonly title: string;
  /** What its blocks denoise. */
  readonly denoised: string;
  readonly modality: Modality;
  /** Numbers that it alone has. */
  readonly fields: readonly { readonly name: "length"; readonly label: string; readonly choices: readonly number[] }[];
  /** Small enough to learn something within a minute or two in a tab. */
  readonly start: Settings;
  /** The options of model, data and training that the settings stand for. */
  options(settings: Settings): ConfigPart;
  /** The options of each method of the page. */
  readonly methods: Readonly<Record<string, (settings: Settings) => object>>;
}

const common = {
  model: "vit",
  data: embedded,
  methods: ["blocks"],
  numBlocks: 3,
  numLayers: 6,
  width: 64,
  patchSize: 8,
  length: 32,
  batchSize: 32,
  steps: 600,
  seed: 0,
  pMean: classNoise.pMean,
  pStd: classNoise.pStd,
  masking: "linear",
  overlap: 0.05,
  order: "interleaved",
  backend: "wasm",
} as const;

const pictures = { augmentation: "none" };
const noise = ({ pMean, pStd }: Settings) => ({ pMean, pStd });
const cut = ({ numBlocks, overlap }: Settings) => ({ numBlocks, overlap });
const twin = ({ numBlocks }: Settings) => ({ numBlocks });
/** A mean over the last steps, however few there are. */
const emaDecay = ({ steps }: Settings) => Math.min(0.999, Math.max(0.9, 1 - 20 / steps));

export const kinds: Readonly<Record<ModelName, Kind>> = {
  vit: {
    title: "vision transformer: classes",
    denoised: "embeddings of classes",
    modality: "images",
    fields: [],
    start: { ...common, width: 48, learningRate: 1.5e-3 },
    options: ({ patchSize }) => ({ model: { patchSize }, data: pictures }),
    methods: { blocks: (settings) => ({ ...cut(settings), ...noise(settings) }), "end-to-end": () => ({}), "shallow-twin": twin },
  },
  dit: {
    title: "diffusion transformer: pictures",
    denoised: "pictures",
    modality: "images",
    fields: [],
    start: {
      ...common,
      model: "dit",
      numLayers: 3,
      patchSize: 4,
      steps: 1200,
      learningRate: 3e-3,
      pMean: edmNoise.pMean,
      pStd: edmNoise.pStd,
    },
    options: (settings) => ({ model: { patchSize: settings.patchSize }, data: pictures, training: { emaDecay: emaDecay(settings) } }),
    methods: {
      blocks: (settings) => ({ ...cut(settings), ...noise(settings) }),
      "end-to-end": noise,
      "shallow-twin": (settings) => ({ ...twin(settings), ...noise(settings) }),
    },
  },
  "masked-diffusion": {
    title: "masked diffusion: text",
    denoised: "hidden text",
    modality: "text",
    fields: [{ name: "length", label: "Characters of a sequence", choices: [16, 32, 64, 128] }],
    start: { ...common, model: "masked-diffusion", steps: 800, learningRate: 4e-3 },
    options: (settings) => ({ data: { length: settings.length }, training: { emaDecay: emaDecay(settings) } }),
    methods: {
      blocks: (settings) => ({ ...cut(settings), masking: settings.masking }),
      "end-to-end": ({ masking }) => ({ masking }),
      "shallow-twin": (settings) => ({ ...twin(settings), masking: settings.masking }),
    },
  },
};

/** A model's name, the first one for a name that the page does not know. */
function modelName(name: string | null): ModelName {
  return name !== null && Object.hasOwn(kinds, name) ? (name as ModelName) : "dit";
}

export interface Choice {
  readonly name: string;
  readonly title: string;
}

export const methodTitles: Readonly<Record<string, string>> = {
  blocks: "in blocks",
  "end-to-end": "end to end",
  "shallow-twin": "shallow twin",
};

/** The methods that the page offers for a model. */
export function methodsOf(model: ModelName): readonly Choice[] {
  return Object.keys(kinds[model].methods).map((name) => ({ name, title: methodTitles[name]! }));
}

/** The configuration of a run by one of the methods. @throws {UsageError} or {PartitionError} for settings that do not fit together. */
export function configOf(settings: Settings, method: string): RunConfig {
  const { model: name, numLayers, width, batchSize, learningRate, steps, seed, order } = settings;
  const kind = kinds[name];
  const { model, data, training } = kind.options(settings);
  const part: ConfigPart = {
    model: { name, numLayers, width, ...(model as object) },
    method: { name: method, ...kind.methods[method]!(settings) },
    data: { path: settings.data, ...data },
    training: {
      batchSize,
      learningRate,
      seed,
      maxSteps: steps,
      epochs: steps, // maxSteps decides, however small the data are
      ...training,
    },
    execution: { schedule: order, saveEvery: 50, logEvery: 5, evaluateEvery: 0 },
  };
  return parseRunConfig(registry, [part], "the settings");
}

/** The settings that a run was started with; of what the page cannot choose, the model's start. */
export function settingsOf({ model, method, data, training, execution }: RunConfig): Settings {
  const { start } = kinds[modelName(model.name)];
  const given = {
    ...model,
    ...method,
    ...data,
    data: data.path,
    model: start.model,
    methods: [method.name],
    batchSize: training.batchSize,
    learningRate: training.learningRate,
    steps: training.maxSteps,
    seed: training.seed,
    order: execution.schedule === "interleaved" ? "interleaved" : "sequential",
  };
  const known = Object.entries(given).filter(([name, value]) => Object.hasOwn(start, name) && value !== undefined);
  return { ...start, ...Object.fromEntries(known) };
}

/** Settings as the part of a link after the question mark: what differs from the model's start. */
export function toQuery(settings: Settings): string {
  const { start } = kinds[settings.model];
  const query = new URLSearchParams({ model: settings.model });
  for (const [name, value] of Object.entries(settings))
    if (String(value) !== String(start[name as keyof Settings])) query.set(name, String(value));
  return query.toString();
}

/** The settings of a link; what it does not name, or names wrongly, is as the model starts. */
export function fromQuery(text: string): Settings {
  const query = new URLSearchParams(text);
  const { start } = kinds[modelName(query.get("model"))];
  const known = methodsOf(start.model).map(({ name }) => name);
  const read = ([name, byDefault]: [string, unknown]): [string, unknown] => {
    const given = query.get(name);
    if (given === null || name === "model") return [name, byDefault];
    if (name === "methods") {
      const methods = given.split(",").filter((method) => known.includes(method));
      return [name, methods.length > 0 ? methods : byDefault];
    }
    if (name === "data") return [name, given];
    if (name === "masking") return [name, given === "cosine" ? given : "linear"];
    if (name === "order") return [name, given === "sequential" ? given : "interleaved"];
    if (name === "backend") return [name, given === "webgpu" ? given : "wasm"];
    const number = Number(given);
    return [name, given !== "" && Number.isFinite(number) ? number : byDefault];
  };
  return Object.fromEntries(Object.entries(start).map(read)) as unknown as Settings;
}
