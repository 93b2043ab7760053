import { createHash } from "node:crypto";
import { z } from "zod";
import { UsageError } from "../errors.ts";

/**
 * Checks a configuration against its schema. A key that the schema does not know is refused, whether the schema is strict or not: a
 * misspelt option that is silently ignored costs a training run.
 *
 * @param where the configuration's name in messages, e.g. "runs/vit/config.json".
 * @throws {UsageError} `config`: every fault on a line of its own, with the key, the value given and the values allowed.
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, value: unknown, where: string): z.output<Schema> {
  const faults = unknownKeys(value, z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema);
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code !== "unrecognized_keys")
        faults.push(`${issue.path.join(".") || "(whole)"}: ${describeIssue(issue, valueAt(value, issue.path))}`);
    }
  }
  if (parsed.success && faults.length === 0) return parsed.data;
  const lines = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join("");
  throw new UsageError("config", { where, faults }, `${where}:${lines}`, parsed.success ? undefined : { cause: parsed.error });
}

/** SHA-256 of a value as JSON with sorted keys: the same for the same content, however its keys are ordered. */
export function configHash(config: unknown): string {
  return createHash("sha256").update(canonicalJson(config)).digest("hex");
}

/** The keys, as paths like "model.depth", in which two configurations differ. */
export function differingKeys(a: unknown, b: unknown, path = ""): string[] {
  if (canonicalJson(a) === canonicalJson(b)) return [];
  if (!isRecord(a) || !isRecord(b)) return [path || "(whole)"];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differingKeys(a[key], b[key], path === "" ? key : `${path}.${key}`));
}

function canonicalJson(value: unknown): string {
  const sorted = (_: string, part: unknown): unknown =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part;
  return JSON.stringify(value, sorted) ?? "null";
}

function describeIssue(issue: z.core.$ZodIssue, given: unknown): string {
  if (given === undefined)
    return issue.code === "invalid_value" ? `missing; one of ${list(issue.values)}` : `missing (${lowerFirst(issue.message)})`;
  if (issue.code === "invalid_value") return `${JSON.stringify(given)} is not one of ${list(issue.values)}`;
  return `${JSON.stringify(given)} does not fit: ${lowerFirst(issue.message)}`;
}

function lowerFirst(text: string): string {
  return text.replace(/^Invalid input: /, "").replace(/^./, (letter) => letter.toLowerCase());
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) => (typeof part === "object" && part !== null ? (part as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(values: Iterable<unknown>): string {
  return [...values].map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ");
}

/** As much of JSON Schema as says which keys an object may have. */
interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

/** One line for every key of `value` that its schema does not know. */
function unknownKeys(value: unknown, schema: JsonSchema, path = "", root: JsonSchema = schema): string[] {
  if (schema.$ref !== undefined) return unknownKeys(value, resolve(schema.$ref, root), path, root);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    // The alternative that was meant is one whose constants match; of those, the one that fits best.
    const meant = choices
      .map((choice) => (choice.$ref === undefined ? choice : resolve(choice.$ref, root)))
      .filter((choice) => constantsMatch(value, choice));
    const faults = meant.map((choice) => unknownKeys(value, choice, path, root));
    return faults.sort((a, b) => a.length - b.length)[0] ?? [];
  }
  if (Array.isArray(value))
    return schema.items === undefined
      ? []
      : value.flatMap((item, index) => unknownKeys(item, schema.items!, join(path, String(index)), root));
  if (!isRecord(value)) return [];

  const parts = schema.allOf ?? [schema];
  const properties: Readonly<Record<string, JsonSchema>> = Object.assign({}, ...parts.map((part) => part.properties));
  const rest = parts.map((part) => part.additionalProperties).find((part) => part !== undefined && part !== false);
  const closed = rest === undefined && parts.every((part) => part.properties !== undefined);
  return Object.entries(value).flatMap(([key, item]) => {
    if (Object.hasOwn(properties, key)) return unknownKeys(item, properties[key]!, join(path, key), root);
    if (closed)
      return [
        `unknown key "${join(path, key)}".${suggestion(key, Object.keys(properties))} Allowed: ${Object.keys(properties).join(", ")}.`,
      ];
    return typeof rest === "object" ? unknownKeys(item, rest, join(path, key), root) : [];
  });
}

function resolve(ref: string, root: JsonSchema): JsonSchema {
  return ref === "#" ? root : (root.$defs?.[ref.replace("#/$defs/", "")] ?? {});
}

function constantsMatch(value: unknown, { properties = {} }: JsonSchema): boolean {
  if (!isRecord(value)) return true;
  return Object.entries(properties).every(
    ([key, property]) => property.const === undefined || !(key in value) || value[key] === property.const,
  );
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function suggestion(key: string, known: readonly string[]): string {
  const [nearest, distance] = known
    .map((name) => [name, editDistance(key.toLowerCase(), name.toLowerCase())] as const)
    .sort((a, b) => a[1] - b[1])[0] ?? ["", Infinity];
  return distance <= Math.max(1, Math.floor(key.length / 3)) ? ` Did you mean "${nearest}"?` : "";
}

/** How many letters must be added, removed or replaced to make `b` of `a` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
