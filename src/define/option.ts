import { z } from "zod";

/** Metadata of an option besides its type and default: for help, flags, and the identity of a run. */
export interface OptionInfo {
  readonly description: string;
  /** The flag without its dashes; by default the key in kebab-case: numBlocks is --num-blocks. */
  readonly flag?: string;
  /** Placeholder of the value in help: "<n>", "<path>", "<share>"; by default made from the type. */
  readonly value?: string;
  /** Description of a default that is no constant: "four times the width". */
  readonly byDefault?: string;
  /** Listed by `--help --all` only. */
  readonly advanced?: boolean;
  /** Whether it concerns the use of a trained network and not its training: it may change without making another run. */
  readonly prediction?: boolean;
  /** Whether it bounds what is read: nothing that is learned depends on it. */
  readonly bound?: boolean;
  /** Whether a run that is there may go on with another value, by --override. */
  readonly overridable?: boolean;
  /** The value is a path, unless it is one of these names: it is kept absolute, so that a run is found from any folder. */
  readonly pathUnless?: readonly string[];
}

const infos = z.registry<OptionInfo>();

/**
 * An option of a model, method or task: its type, and what people read of it. Defaults come behind it.
 *
 * @example width: option(count, { description: "width of the residual stream" }).default(96)
 */
export function option<Schema extends z.ZodType>(schema: Schema, info: OptionInfo): Schema {
  const described = schema.describe(info.description) as Schema;
  infos.add(described, info);
  return described;
}

/** The info of an option, through defaults and the like. */
export function infoOf(schema: z.ZodType): OptionInfo | undefined {
  const found = infos.get(schema);
  if (found !== undefined) return found;
  const inner = innerOf(schema);
  return inner === undefined ? undefined : infoOf(inner);
}

/** The schema that `default`, `prefault`, `optional` or `readonly` stand around. */
export function innerOf(schema: z.ZodType): z.ZodType | undefined {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodReadonly
  )
    return schema.unwrap() as z.ZodType;
  return undefined;
}

/** The type of an option without what stands around it. */
export function coreOf(schema: z.ZodType): z.ZodType {
  const inner = innerOf(schema);
  return inner === undefined ? schema : coreOf(inner);
}

/** Options of one owner, by their keys. */
export type OptionsSchema = z.ZodObject<z.core.$ZodLooseShape>;

/** Part of the options of a schema: other defaults. */
export type Defaults = Readonly<Record<string, unknown>>;

/**
 * The same options with other defaults; those of groups (objects in the schema) are given as objects.
 *
 * @throws {Error} `internal:` for a default of an option that is not there.
 */
export function withDefaults(schema: OptionsSchema, defaults: Defaults): OptionsSchema {
  const changed = Object.entries(defaults).map(([key, value]) => {
    const present = schema.shape[key] as z.ZodType | undefined;
    if (present === undefined) throw new Error(`internal: a default for "${key}", of ${Object.keys(schema.shape).join(", ")}`);
    const core = bare(present);
    if (core instanceof z.ZodObject) return [key, withDefaults(core as OptionsSchema, value as Defaults).prefault({})] as const;
    return [key, (core as z.ZodType).default(value as never)] as const;
  });
  return z.strictObject({ ...schema.shape, ...Object.fromEntries(changed) }) as unknown as OptionsSchema;
}

/** Without a default, but with its info. */
function bare(schema: z.ZodType): z.ZodType {
  const inner = innerOf(schema);
  return infos.get(schema) !== undefined || inner === undefined ? schema : bare(inner);
}

/** Whole numbers from 1 on; shares from 0 to 1; positive numbers: the types that most options have. */
export const count: z.ZodInt = z.int().min(1);
export const share: z.ZodNumber = z.number().min(0).max(1);
export const dropoutRate: z.ZodNumber = z.number().min(0).lt(1);
export const positive: z.ZodNumber = z.number().positive();
