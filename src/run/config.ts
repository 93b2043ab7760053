import { createHash } from "node:crypto";
import { canonicalJson } from "../formats/index.ts";

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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
