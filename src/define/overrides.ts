import { UsageError } from "../errors.ts";
import { infoOf, type OptionsSchema } from "./option.ts";
import type { Registry } from "./registry.ts";
import { configSchema, merge, type Override, parseRunConfig, type RunConfig } from "./runConfig.ts";

/** A configuration as it is after some of its overrides, all of them by default. */
export function overridden(config: RunConfig, overrides: readonly Override[] = config.overrides ?? []): RunConfig {
  const parts = overrides.flatMap(({ values }) => Object.entries(values)).map(([path, value]) => nested(path, value));
  return parts.reduce<Record<string, unknown>>(merge, config as unknown as Record<string, unknown>) as unknown as RunConfig;
}

/**
 * The settings among `values` that are new to a run.
 *
 * @throws {UsageError} `override` for a setting that cannot change in a run; `config` for a wrong value.
 */
export function newOverrides(
  registry: Registry,
  config: RunConfig,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const known = overridablePaths(registry, config);
  for (const path of Object.keys(values)) {
    if (known.includes(path)) continue;
    const message = `--override ${path}: a run that is there can go on with another ${known.join(", ")}. Anything else makes another run, with another --run.`;
    throw new UsageError("override", { path, known }, message);
  }
  const present = overridden(config);
  const added = Object.entries(values).filter(([path, value]) => valueAt(present, path) !== value);
  const parts = added.map(([path, value]) => nested(path, value));
  parseRunConfig(registry, [config as never, ...parts], "--override");
  return Object.fromEntries(added);
}

/** Paths of the settings that may change in a run. */
export function overridablePaths(registry: Registry, config: RunConfig): readonly string[] {
  const schema: OptionsSchema = configSchema(registry, config.model.name, config.method.name).training;
  return Object.entries(schema.shape).flatMap(([key, option]) => (infoOf(option as never)?.overridable ? [`training.${key}`] : []));
}

/** What a unit's log says beside its step, counted from 1, of overrides that hold from there on. */
export function overridesAt({ overrides = [] }: RunConfig, unit: string, step: number): Readonly<Record<string, number | string>> {
  const begun = overrides.filter(({ from }) => (from[unit] ?? 0) + 1 === step);
  const entries = begun.flatMap(({ values }) => Object.entries(values));
  return Object.fromEntries(entries.map(([path, value]) => [`override/${path}`, typeof value === "number" ? value : String(value)]));
}

function nested(path: string, value: unknown): Record<string, unknown> {
  return path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Record<string, unknown>;
}

function valueAt(config: RunConfig, path: string): unknown {
  return path.split(".").reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], config);
}
