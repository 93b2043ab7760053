import { z } from "zod";
import { UsageError } from "../errors.ts";
import type { TrainingMethod } from "../train/index.ts";
import { checkOptions, isRecord } from "./check.ts";
import type { AnyMethodEntry } from "./method.ts";
import type { AnyModel, Preset } from "./model.ts";
import { coreOf, type Defaults, infoOf, type OptionsSchema, option, withDefaults } from "./option.ts";
import type { Registry } from "./registry.ts";
import type { AnyTask } from "./task.ts";
import { type ExecutionOptions, executionOptions, type TrainingOptions, trainingOptions } from "./training.ts";

/** Of config.json: changes where runs of before can no longer be read. */
export const configVersion = "0.2";

/** The options of a model or method, with its name. */
export interface NamedOptions {
  readonly name: string;
  readonly [option: string]: unknown;
}

/**
 * A run, whole: what config.json holds. It is the composition of the options of one model, one method on it, its
 * task's data, training and execution; each owner has one schema.
 */
export interface RunConfig {
  readonly $schema?: string | undefined;
  readonly version: typeof configVersion;
  readonly model: NamedOptions;
  readonly method: NamedOptions;
  readonly data: {
    readonly path: string;
    /** The data set that was found at `path`; written when a run starts, so that it can be evaluated on data elsewhere. */
    readonly name?: string | undefined;
    /** "validation": the result is measured on data that training does not see, and the test part is not read. */
    readonly measuredOn?: "test" | "validation" | undefined;
    readonly [option: string]: unknown;
  };
  readonly training: TrainingOptions;
  readonly execution: ExecutionOptions;
  /** Settings that the run went on with, in their order. */
  readonly overrides?: readonly Override[] | undefined;
}

/** Settings that a run went on with, and the steps of each unit from which they hold. */
export interface Override {
  /** By path: "training.learningRate". */
  readonly values: Readonly<Record<string, unknown>>;
  readonly from: Readonly<Record<string, number>>;
}

const overridesSchema = z.array(z.strictObject({ values: z.record(z.string(), z.unknown()), from: z.record(z.string(), z.int().min(0)) }));

/** Any part of a configuration; a model or method may be given by its name alone. */
export interface ConfigPart {
  readonly $schema?: string;
  readonly version?: string;
  readonly model?: string | Defaults;
  readonly method?: string | Defaults;
  readonly data?: Defaults;
  readonly training?: Defaults;
  readonly execution?: Defaults;
}

/** The groups of options, in the order in which help shows them. */
export const sections = ["data", "model", "method", "training", "execution"] as const;
export type Section = (typeof sections)[number];

/**
 * The schema of a run of this model by this method, with the defaults that hold for the two.
 *
 * @throws {UsageError} if the method cannot train the model.
 */
export function configSchema(registry: Registry, modelName: string, methodName: string): Readonly<Record<Section, OptionsSchema>> {
  const model = registry.model(modelName);
  const entry = registry.entry(model, methodName);
  const training = withDefaults(trainingOptions as unknown as OptionsSchema, model.defaults.training ?? {});
  return {
    data: withDefaults(dataSchema(model.task), model.defaults.data ?? {}),
    model: model.schema,
    method: withDefaults(entry.schema, model.defaults.methods?.[methodName] ?? {}),
    training: withDefaults(training, entry.defaults.training ?? {}),
    execution: executionOptions as unknown as OptionsSchema,
  };
}

function dataSchema(task: AnyTask): OptionsSchema {
  return z.strictObject({
    path: option(z.string(), { flag: "data", value: "path", pathUnless: ["embedded"], description: task.pathDescription }).default(
      task.defaultPath,
    ),
    name: z.string().optional(),
    measuredOn: option(z.enum(["test", "validation"]), {
      description: "part by which the result is measured; validation leaves the test part unread, for choosing options",
      byDefault: "test",
      advanced: true,
    }).optional(),
    ...(task.schema as unknown as OptionsSchema).shape,
  }) as unknown as OptionsSchema;
}

function wholeSchema(registry: Registry, modelName: string, methodName: string): z.ZodType<RunConfig> {
  const { data, model, method, training, execution } = configSchema(registry, modelName, methodName);
  return z.strictObject({
    $schema: z.string().optional(),
    version: z.literal(configVersion).default(configVersion),
    model: z.strictObject({ name: z.literal(modelName), ...model.shape }),
    method: z.strictObject({ name: z.literal(methodName), ...method.shape }),
    data: data.prefault({}),
    training: training.prefault({}),
    execution: execution.prefault({}),
    overrides: overridesSchema.optional(),
  }) as unknown as z.ZodType<RunConfig>;
}

/**
 * A configuration from parts, later ones over earlier ones, and defaults for the rest. The model is `vit` by default, and the method the
 * model's own, or `blocks`.
 *
 * @param where the configuration's name in messages.
 * @throws {UsageError} that names unknown options, with where they belong, and wrong values.
 */
export function parseRunConfig(registry: Registry, parts: readonly ConfigPart[], where = "the configuration"): RunConfig {
  for (const part of parts) refuseOldVersion(part, where);
  const given = parts.map(named).reduce<Record<string, unknown>>(merge, {});
  const model = nameOf(given.model, "vit");
  const method = nameOf(given.method, defaultMethod(registry.model(model)));
  const value = { ...given, model: { ...(given.model as object), name: model }, method: { ...(given.method as object), name: method } };
  return checkOptions(wholeSchema(registry, model, method), value, where, (key, path) => elsewhere(registry, key, path, { model, method }));
}

/** The method of a model where none is named. */
export function defaultMethod({ defaults }: AnyModel): string {
  return defaults.method ?? "blocks";
}

/** Where an option belongs that this model and method do not have. */
function elsewhere(registry: Registry, key: string, path: readonly string[], { model, method }: { model: string; method: string }): string {
  if (path[0] !== "model" && path[0] !== "method" && path[0] !== "data") return "";
  const owners = registry.ownersOf(key);
  return owners.length === 0 ? "" : ` ${model} trained by ${method} has no such option; it belongs to ${owners.join("; ")}.`;
}

/** Runs of version 0.1 had `network` and `blocks` for all models. */
function refuseOldVersion(part: ConfigPart, where: string): void {
  if (!Object.hasOwn(part, "network") && !(typeof part.version === "string" && part.version !== configVersion)) return;
  const version = part.version ?? "0.1";
  const message = `${where} was written by version ${version} of diffusion-blocks, and this is ${configVersion}, which cannot read it. Use version ${version} for that run, or train it anew.`;
  throw new UsageError("oldVersion", { where, version }, message);
}

function named(part: ConfigPart): Record<string, unknown> {
  const nameToOptions = (value: unknown): unknown => (typeof value === "string" ? { name: value } : value);
  return {
    ...part,
    ...(part.model !== undefined && { model: nameToOptions(part.model) }),
    ...(part.method !== undefined && { method: nameToOptions(part.method) }),
  };
}

function nameOf(value: unknown, fallback: string): string {
  const name = isRecord(value) ? value.name : undefined;
  return typeof name === "string" ? name : fallback;
}

/** `over` on top of `base`, group by group; what is undefined changes nothing. */
export function merge(base: Record<string, unknown>, over: object): Record<string, unknown> {
  const result = new Map(Object.entries(base)); // a key such as __proto__ stays one, and is refused as unknown later
  for (const [key, value] of Object.entries(over)) {
    const present = result.get(key);
    if (value !== undefined) result.set(key, isRecord(present) && isRecord(value) ? merge(present, value) : value);
  }
  return Object.fromEntries(result);
}

/** A preset as part of a configuration; its options of a method count only for that method, by default the one that it names. */
export function presetPart({ description: _, ...part }: Preset, method: string | undefined = part.method?.name): ConfigPart {
  return { ...part, method: part.method?.name === method ? { ...part.method } : {} };
}

/**
 * Parts that are given to several methods at once, for one of them on one model: whatever they name, and without the options that this
 * method does not have there.
 */
export function partsFor(registry: Registry, model: string, method: string, parts: readonly ConfigPart[]): readonly ConfigPart[] {
  const { shape } = configSchema(registry, model, method).method;
  const ownOf = (options: ConfigPart["method"]): Defaults =>
    isRecord(options) ? Object.fromEntries(Object.entries(options).filter(([key]) => Object.hasOwn(shape, key))) : {};
  return parts.map((part) => ({
    ...part,
    model: { ...(isRecord(part.model) ? part.model : {}), name: model },
    method: { ...ownOf(part.method), name: method },
  }));
}

/** The model, method and task of a configuration, as values. */
export interface ResolvedConfig {
  readonly model: AnyModel;
  readonly entry: AnyMethodEntry;
  readonly task: AnyTask;
}

export function resolveConfig(registry: Registry, { model: { name }, method }: RunConfig): ResolvedConfig {
  const model = registry.model(name);
  return { model, entry: registry.entry(model, method.name), task: model.task };
}

/** Options without the name of their owner. */
export function optionsOf({ name: _, ...options }: NamedOptions): Readonly<Record<string, unknown>> {
  return options;
}

/**
 * The training method of a run.
 *
 * @param shape what the network must know of the data.
 * @param data the data themselves, for what starts from some of them.
 * @throws {UsageError} or {PartitionError} if options and sizes do not fit together.
 */
export function buildMethod(registry: Registry, config: RunConfig, shape: object, data?: unknown): TrainingMethod {
  const { model, entry } = resolveConfig(registry, config);
  const network = (changes: Defaults = {}): unknown => model.build({ ...optionsOf(config.model), ...changes } as never, shape as never);
  const build = entry.build as (context: object, options: object) => TrainingMethod;
  return build({ network, shape, data }, optionsOf(config.method));
}

/**
 * The part of a configuration that decides what is learned, with the name of the data set that it is learned from: checkpoints of another
 * one are never loaded. Device, threads, schedule, the path of the data and how predictions are made may change.
 */
export function identityOf(registry: Registry, config: RunConfig, datasetName: string): object {
  const schemas = configSchema(registry, config.model.name, config.method.name);
  const { path: _, ...data } = config.data;
  const { evaluateEvery, evaluateSteps } = config.execution;
  return {
    model: learned(config.model, schemas.model),
    method: learned(config.method, schemas.method),
    training: config.training,
    data: { ...learned(data, schemas.data), name: datasetName },
    ...(config.training.patience !== undefined && { evaluateEvery, evaluateSteps }), // early stopping depends on them
  };
}

/** A configuration with its paths as `resolve` makes them: names such as `embedded` stay. */
export function withPaths(registry: Registry, config: RunConfig, resolve: (path: string) => string): RunConfig {
  const { shape } = configSchema(registry, config.model.name, config.method.name).data;
  const entries = Object.entries(config.data).map(([key, value]) => {
    const names = Object.hasOwn(shape, key) ? infoOf(shape[key] as z.ZodType)?.pathUnless : undefined;
    return [key, names !== undefined && typeof value === "string" && !names.includes(value) ? resolve(value) : value];
  });
  return { ...config, data: Object.fromEntries(entries) as RunConfig["data"] };
}

/** Options without those that are for prediction alone, or bound what is read. */
function learned(options: Readonly<Record<string, unknown>>, { shape }: OptionsSchema): Record<string, unknown> {
  const isLearned = (key: string): boolean => {
    const info = Object.hasOwn(shape, key) ? infoOf(shape[key] as z.ZodType) : undefined;
    return info?.prediction !== true && info?.bound !== true;
  };
  return Object.fromEntries(Object.entries(options).filter(([key]) => isLearned(key)));
}

/** The JSON Schema of config.json for a run of this model by this method. */
export function configJsonSchema(registry: Registry, model: string, method: string): object {
  const { $schema: _, ...schema } = z.toJSONSchema(wholeSchema(registry, model, method), { io: "input", unrepresentable: "any" });
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: `${model}, ${method}`, ...schema };
}

/** The same for every model and every method that can train it, as alternatives. */
export function anyConfigJsonSchema(registry: Registry): object {
  const oneOf = registry.models.flatMap((model) =>
    registry.methodsFor(model).map(({ name }) => configJsonSchema(registry, model.name, name)),
  );
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: "A run of diffusion-blocks", oneOf };
}

/** One option of a run as a flag. */
export interface Flag {
  readonly section: Section;
  /** "method.sampling.estimate" */
  readonly path: string;
  /** Without dashes. */
  readonly flag: string;
  readonly schema: z.ZodType;
  readonly description: string;
  readonly value: string | undefined;
  readonly byDefault: string | undefined;
  readonly advanced: boolean;
}

/** All options of schemas as flags, those of groups too. */
export function flagsOf(schemas: Readonly<Record<Section, OptionsSchema>>): readonly Flag[] {
  return sections.flatMap((section) => flagsIn(schemas[section], section, section, {}));
}

function flagsIn({ shape }: OptionsSchema, section: Section, path: string, defaults: Defaults): Flag[] {
  return Object.entries(shape).flatMap(([key, value]): Flag[] => {
    const schema = value as z.ZodType;
    const core = coreOf(schema);
    const place = `${path}.${key}`;
    const fallback = defaults[key] ?? defaultOf(schema);
    if (core instanceof z.ZodObject) return flagsIn(core as OptionsSchema, section, place, isRecord(fallback) ? fallback : {});
    const info = infoOf(schema);
    if (info === undefined) return [];
    return [
      {
        section,
        path: place,
        flag: info.flag ?? kebab(key),
        schema: core,
        description: info.description,
        value: info.value,
        byDefault: fallback === undefined ? info.byDefault : String(fallback),
        advanced: info.advanced ?? false,
      },
    ];
  });
}

/** The default of an option, undefined where it has none. */
function defaultOf(schema: z.ZodType): unknown {
  const parsed = schema.safeParse(undefined);
  return parsed.success ? parsed.data : undefined;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
