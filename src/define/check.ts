import { z } from "zod";
import { UsageError } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { coreOf, type OptionsSchema } from "./option.ts";

/** Adds to a fault what is known of an option that is not there: who has it. */
export type Elsewhere = (key: string, path: readonly string[]) => string;

/** Faults that a message lists. */
const mostFaults = 10;

/**
 * Checks options against their schema and fills in defaults.
 *
 * @param where the options' name in messages: "runs/vit/config.json", "vit".
 * @param elsewhere says of an unknown key where it belongs.
 * @throws {UsageError} `config`: every fault, with the key, the value given and the values allowed.
 */
export function checkOptions<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
  elsewhere?: Elsewhere,
): z.output<Schema> {
  const faults = unknownKeys(value, schema, [], elsewhere);
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    for (const issue of parsed.error.issues)
      if (issue.code !== "unrecognized_keys")
        faults.push(`${issue.path.join(".") || "(whole)"}: ${describeIssue(issue, valueAt(value, issue.path))}`);
  if (parsed.success && faults.length === 0) return parsed.data;
  if (faults.length > mostFaults) faults.splice(mostFaults, faults.length, `and ${faults.length - mostFaults} more`);
  const lines = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join("");
  throw new UsageError("config", { where, faults }, `${where}:${lines}`, parsed.success ? undefined : { cause: parsed.error });
}

/** A fault for each key of a value that its schema does not have, in groups of options too. */
function unknownKeys(value: unknown, schema: z.ZodType, path: readonly string[], elsewhere: Elsewhere | undefined): string[] {
  const core = coreOf(schema);
  if (!(core instanceof z.ZodObject) || !isRecord(value)) return [];
  const { shape } = core as OptionsSchema;
  const known = Object.keys(shape);
  return Object.entries(value).flatMap(([key, inner]) => {
    if (Object.hasOwn(shape, key)) return unknownKeys(inner, shape[key] as z.ZodType, [...path, key], elsewhere);
    const place = short([...path, key].join("."));
    return [`there is no "${place}".${elsewhere?.(key, path) ?? ""}${nearest(key, known)} Known: ${known.join(", ")}.`];
  });
}

function describeIssue(issue: z.core.$ZodIssue, given: unknown): string {
  if (given === undefined)
    return issue.code === "invalid_value" ? `missing; one of ${list(issue.values)}` : `missing (${lowerFirst(issue.message)})`;
  if (issue.code === "invalid_value") return `${short(JSON.stringify(given))} is not one of ${list(issue.values)}`;
  return `${short(JSON.stringify(given))} does not fit: ${lowerFirst(issue.message)}`;
}

/** A name or a value of any length, for a message. */
function short(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function lowerFirst(text: string): string {
  return text.replace(/^Invalid input: /, "").replace(/^./, (letter) => letter.toLowerCase());
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) => (isRecord(part) || Array.isArray(part) ? (part as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(values: Iterable<unknown>): string {
  return [...values].map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ");
}
