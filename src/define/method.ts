import type { z } from "zod";
import type { TrainingMethod } from "../train/index.ts";
import type { NetworkKind } from "./kinds.ts";
import type { Defaults, OptionsSchema } from "./option.ts";

/** Arguments of building a method. */
export interface BuildContext<Built, Shape> {
  /** The network with fresh parameters, with some of its options changed: `network({ numLayers: 2 })` is a shallow twin. */
  network(changes?: Defaults): Built;
  /** Sizes of the data. */
  readonly shape: Shape;
  /** The data themselves, for what starts from some of them; undefined where nothing is trained. */
  readonly data?: unknown;
}

/** A method on one kind of network. */
export interface MethodEntry<Options = never, Built = never, Shape = never> {
  readonly kind: NetworkKind<Built, Shape>;
  readonly schema: OptionsSchema;
  readonly defaults: { readonly training?: Defaults };
  /** @throws {UsageError} or {PartitionError} if the options do not fit the network. */
  build(context: BuildContext<Built, Shape>, options: Options): TrainingMethod;
}

// biome-ignore lint/suspicious/noExplicitAny: what goes into an entry's build came out of its own schema and kind.
export type AnyMethodEntry = MethodEntry<any, any, any>;

/** A way of training as every command sees it. Made by {@link defineMethod}. */
export interface MethodDefinition {
  readonly name: string;
  /** One line for help. */
  readonly summary: string;
  /** One entry for each kind of network that it can train. */
  readonly fits: readonly AnyMethodEntry[];
}

/** A method on one kind of network: its options there, and how it is built. */
export function on<Schema extends z.ZodObject, Built, Shape>(
  kind: NetworkKind<Built, Shape>,
  entry: {
    readonly schema: Schema;
    readonly defaults?: { readonly training?: Defaults };
    build(context: BuildContext<Built, Shape>, options: z.output<Schema>): TrainingMethod;
  },
): AnyMethodEntry {
  const { schema, defaults = {}, build } = entry;
  return Object.freeze({ kind, schema: schema as unknown as OptionsSchema, defaults, build }) as unknown as AnyMethodEntry;
}

/**
 * Defines a method: what it returns goes into a registry, or is exported by a plugin.
 *
 * @example export const localLoss = defineMethod({ name: "local-loss", summary: "…", fits: [on(classifierKind, { schema, build })] })
 */
export function defineMethod(definition: MethodDefinition): MethodDefinition {
  return Object.freeze(definition);
}
