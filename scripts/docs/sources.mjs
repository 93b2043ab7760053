import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

/** Visits every node of a syntax tree. */
export function walk(node, visit) {
  if (node === null || typeof node !== "object") return;
  if (Array.isArray(node)) for (const one of node) walk(one, visit);
  else {
    if (typeof node.type === "string") visit(node);
    for (const [key, value] of Object.entries(node)) if (key !== "parent") walk(value, visit);
  }
}

/** A file of TypeScript as text, syntax tree and comments. @throws Error if it cannot be parsed. */
export function parsed(path) {
  const text = readFileSync(path, "utf8");
  const { program, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  return { text, program, comments };
}

/** Files below a folder whose name passes. */
export function filesBelow(folder, passes) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(passes)
    .sort()
    .map((name) => join(folder, name));
}

/** The documentation comment that ends right above a place, without its stars; "" if there is none. */
export function wordsAbove(text, comments, start) {
  const comment = comments.findLast(({ value, end }) => value.startsWith("*") && end <= start && text.slice(end, start).trim() === "");
  if (comment === undefined) return "";
  return comment.value
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}
