import type { z } from "zod";
import type { NetworkKind } from "./kinds.ts";
import type { Defaults, OptionsSchema } from "./option.ts";
import type { AnyTask } from "./task.ts";

/** Parts of a configuration by section; the method's options belong to a method of this name. */
export interface Preset {
  readonly description: string;
  readonly model?: Defaults;
  readonly method?: Defaults & { readonly name?: string };
  readonly data?: Defaults;
  readonly training?: Defaults;
}

/**
 * An architecture as every command sees it: its options with their defaults, what it builds, and where training it wants other defaults.
 * Made by {@link defineModel}.
 */
export interface ModelDefinition<Options = never, Built = unknown, Shape = never> {
  /** As it stands in config.json and on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly summary: string;
  readonly kind: NetworkKind<Built, Shape>;
  /** Its data and evaluation. */
  readonly task: AnyTask;
  readonly schema: OptionsSchema;
  readonly defaults: {
    /** The method where none is named; blocks by default. */
    readonly method?: string;
    readonly data?: Defaults;
    readonly training?: Defaults;
    /** Of a method's options, by its name. */
    readonly methods?: Readonly<Record<string, Defaults>>;
  };
  /** Published configurations, by name. */
  readonly presets: Readonly<Record<string, Preset>>;
  /** Systems that `dblocks compare` trains by default, by name of the method. */
  readonly compared: readonly string[];
  /** @throws {UsageError} if the sizes do not fit each other or the data. */
  build(options: Options, shape: Shape): Built;
}

/** A model of any kind, where the compiler need not know which. */
// biome-ignore lint/suspicious/noExplicitAny: what goes into a model's build came out of its own schema and task.
export type AnyModel = ModelDefinition<any, any, any>;

/**
 * Defines a model: what it returns goes into a registry, or is exported by a plugin.
 *
 * @example
 * export const mixerModel = defineModel({ name: "mixer", kind: classifierKind, task: classes, schema: mixerOptions, build: mixer, … })
 */
export function defineModel<Schema extends z.ZodObject, Built, Shape>(
  definition: Omit<ModelDefinition<z.output<Schema>, Built, Shape>, "schema" | "defaults" | "presets" | "compared"> & {
    readonly schema: Schema;
  } & Partial<Pick<ModelDefinition, "defaults" | "presets" | "compared">>,
): ModelDefinition<z.output<Schema>, Built, Shape> {
  const { schema, ...rest } = definition;
  return Object.freeze({
    defaults: {},
    presets: {},
    compared: ["end-to-end", "blocks"],
    ...rest,
    schema: schema as unknown as OptionsSchema,
  });
}
