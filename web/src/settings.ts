import { type ConfigPart, classNoise, edmNoise, parseRunConfig, type RunConfig, registry } from "diffusion-blocks";

/** What can be chosen on the page; everything else is the package's default. */
export interface Settings {
  readonly model: "vit" | "dit";
  /** Trained side by side. */
  readonly methods: readonly string[];
  readonly numBlocks: number;
  readonly numLayers: number;
  readonly width: number;
  readonly patchSize: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Updates of each unit. */
  readonly steps: number;
  readonly seed: number;
  readonly pMean: number;
  readonly pStd: number;
  readonly overlap: number;
  readonly order: "interleaved" | "sequential";
  readonly backend: "wasm" | "webgpu";
}

const common = {
  numBlocks: 3,
  numLayers: 6,
  patchSize: 8,
  batchSize: 32,
  steps: 600,
  seed: 0,
  overlap: 0.05,
  order: "interleaved",
  backend: "wasm",
} as const;

/** Where each model starts: small enough to learn something within a minute in a tab. */
export const starts: Readonly<Record<Settings["model"], Settings>> = {
  vit: { ...common, model: "vit", methods: ["blocks"], width: 48, learningRate: 1.5e-3, pMean: classNoise.pMean, pStd: classNoise.pStd },
  dit: {
    ...common,
    model: "dit",
    methods: ["blocks"],
    numLayers: 3,
    patchSize: 4,
    steps: 1200,
    width: 64,
    learningRate: 3e-3,
    pMean: edmNoise.pMean,
    pStd: edmNoise.pStd,
  },
};

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
export function methodsOf(model: string): readonly Choice[] {
  return registry.methodsFor(registry.model(model)).flatMap(({ name }) => {
    const title = methodTitles[name];
    return title === undefined ? [] : [{ name, title }];
  });
}

/** The configuration of a run by one of the methods. @throws {UsageError} or {PartitionError} for settings that do not fit together. */
export function configOf(settings: Settings, method: string): RunConfig {
  const { model, numBlocks, numLayers, width, patchSize, batchSize, learningRate, steps, seed, pMean, pStd, overlap, order } = settings;
  const noise = { pMean, pStd };
  const options: Readonly<Record<string, object>> = {
    blocks: { numBlocks, overlap, ...noise },
    "end-to-end": model === "dit" ? noise : {},
    "shallow-twin": { numBlocks },
  };
  const part: ConfigPart = {
    model: { name: model, numLayers, width, patchSize },
    method: { name: method, ...options[method] },
    data: { path: "embedded", augmentation: "none" },
    training: {
      batchSize,
      learningRate,
      seed,
      maxSteps: steps,
      epochs: Math.ceil((steps * batchSize) / 3000),
      ...(model === "dit" && { emaDecay: Math.min(0.999, Math.max(0.9, 1 - 20 / steps)) }), // a mean over the last steps, however few
    },
    execution: { schedule: order, saveEvery: 50, logEvery: 5, evaluateEvery: 0 },
  };
  return parseRunConfig(registry, [part], "the settings");
}

/** The settings that a run was started with; of what the page cannot choose, the model's start. */
export function settingsOf({ model, method, training, execution }: RunConfig): Settings {
  const start = starts[model.name === "vit" ? "vit" : "dit"];
  const given = {
    ...model,
    ...method,
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
  const start = starts[settings.model];
  const query = new URLSearchParams({ model: settings.model });
  for (const [name, value] of Object.entries(settings))
    if (String(value) !== String(start[name as keyof Settings])) query.set(name, String(value));
  return query.toString();
}

/** The settings of a link; what it does not name, or names wrongly, is as the model starts. */
export function fromQuery(text: string): Settings {
  const query = new URLSearchParams(text);
  const start = starts[query.get("model") === "vit" ? "vit" : "dit"];
  const known = methodsOf(start.model).map(({ name }) => name);
  const read = ([name, byDefault]: [string, unknown]): [string, unknown] => {
    const given = query.get(name);
    if (given === null || name === "model") return [name, byDefault];
    if (name === "methods") {
      const methods = given.split(",").filter((method) => known.includes(method));
      return [name, methods.length > 0 ? methods : byDefault];
    }
    if (name === "order") return [name, given === "sequential" ? given : "interleaved"];
    if (name === "backend") return [name, given === "webgpu" ? given : "wasm"];
    const number = Number(given);
    return [name, given !== "" && Number.isFinite(number) ? number : byDefault];
  };
  return Object.fromEntries(Object.entries(start).map(read)) as unknown as Settings;
}
