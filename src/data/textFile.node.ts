import { readFile } from "node:fs/promises";

/** The text at a path. */
export function readText(path: string): Promise<string> {
  return readFile(path, "utf8");
}
