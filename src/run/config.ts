import { createHash } from "node:crypto";
import { canonicalJson } from "../formats/index.ts";

/** SHA-256 of a value as JSON with sorted keys: the same for the same content, however its keys are ordered. */
export function configHash(config: unknown): string {
  return createHash("sha256").update(canonicalJson(config)).digest("hex");
}

/** An option in which two configurations differ; undefined where one of them has none. */
export interface Difference {
  /** "model.width" */
  readonly key: string;
  readonly a: unknown;
  readonly b: unknown;
}

/** The options in which two configurations differ. */
export function differences(a: unknown, b: unknown, path = ""): readonly Difference[] {
  if (canonicalJson(a) === canonicalJson(b)) return [];
  if (!isRecord(a) || !isRecord(b)) return [{ key: path || "(whole)", a, b }];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differences(a[key], b[key], path === "" ? key : `${path}.${key}`));
}

/** Their keys alone, as paths like "model.depth". */
export function differingKeys(a: unknown, b: unknown, path = ""): string[] {
  return differences(a, b, path).map(({ key }) => key);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
