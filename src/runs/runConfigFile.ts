import { join } from "node:path";
import { type ConfigPart, parseRunConfig, type Registry, type RunConfig } from "../define/index.ts";
import type { RunFolder } from "../run/index.ts";

/**
 * The configuration of a run.
 *
 * @throws {RunError} `noConfig` if it is missing. {UsageError} for options that are not there, or a run of another version.
 */
export async function readRunConfig(registry: Registry, folder: RunFolder): Promise<RunConfig> {
  return parseRunConfig(registry, [(await folder.readConfig()) as ConfigPart], join(folder.path, "config.json"));
}
