import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import {
  type AnyModel,
  type ConfigPart,
  configSchema,
  defaultMethod,
  type Flag,
  flagsOf,
  parseRunConfig,
  presetPart,
  type Registry,
  type RunConfig,
  type Section,
  UsageError,
} from "../index.ts";
import { parseStrictJson } from "../node.ts";
import { number, valueIn } from "./words.ts";

/** The run that a command line is about, known before its options are parsed: the options are those of this model and method. */
export interface NamedRun {
  readonly model: AnyModel;
  readonly method: string;
  /** The content of --config. */
  readonly file: ConfigPart | undefined;
  readonly flags: readonly Flag[];
  /** Whether help lists all options. */
  readonly all: boolean;
}

/**
 * The model and method that words name. A configuration file or a preset names a method where no --method does.
 *
 * @throws {UsageError} if there is no such model or method, the method cannot train the model, or the file cannot be read.
 */
export async function namedRun(registry: Registry, words: readonly string[]): Promise<NamedRun | undefined> {
  const name = words.find((word, i) => !word.startsWith("-") && (i === 0 || !takesValue(words[i - 1]!, registry)));
  if (name === undefined) return undefined;
  const model = registry.model(name);
  const [configFile, preset] = [valueIn(words, "config"), valueIn(words, "preset")];
  const file = configFile === undefined ? undefined : await readConfigFile(configFile);
  const methodOf = (part: ConfigPart | undefined): string | undefined =>
    typeof part?.method === "string" ? part.method : (part?.method?.name as string | undefined);
  const method = valueIn(words, "method") ?? methodOf(file) ?? methodOf(model.presets[preset ?? ""]) ?? defaultMethod(model);
  return { model, method, file, flags: flagsOf(configSchema(registry, name, method)), all: words.includes("--all") };
}

/** The run that a command needs. @throws {UsageError} if no model was named. */
export function required(run: NamedRun | undefined, registry: Registry): NamedRun {
  if (run !== undefined) return run;
  const models = registry.models.map(({ name }) => name);
  throw new UsageError("noModel", { models }, `missing required argument 'model'. Models: ${models.join(", ")}.`);
}

/** Whether the word after this one is its value, and no model. */
function takesValue(word: string, registry: Registry): boolean {
  return word.startsWith("--") && !word.includes("=") && !isSwitch(word.slice(2), registry);
}

const switches = ["json", "quiet", "verbose", "dry-run", "help", "all", "debug", "equal-evaluations", "no-controls"];

/** An option without a value. */
function isSwitch(flag: string, registry: Registry): boolean {
  if (switches.includes(flag)) return true;
  return allFlags(registry).some((one) => one.flag === flag && one.schema instanceof z.ZodBoolean);
}

const headings: Readonly<Record<Section, (run: NamedRun) => string>> = {
  data: () => "Data:",
  model: ({ model }) => `${model.name}:`,
  method: ({ method }) => `${method}:`,
  training: () => "Training:",
  execution: () => "Execution:",
};

/** Adds --method, --config, --preset, --set and the options of the run, each with its default. */
export function withRunOptions(command: Command, registry: Registry, run: NamedRun | undefined): Command {
  command.option("--config <file>", "a configuration file (JSON); flags come on top of it");
  command.option("--set <path=value...>", "any setting of the configuration, e.g. --set model.epsilon=1e-5; --dry-run shows them all");
  command.option("--all", "list all options in --help");
  if (run === undefined) {
    // That the model is missing is the fault to report, not that its options are unknown.
    return command.option("--method <name>", "method of training").allowUnknownOption().allowExcessArguments();
  }
  const methods = registry.methodsFor(run.model);
  command.addOption(
    new Option("--method <name>", `method of training (default: ${defaultMethod(run.model)})`).choices(methods.map(({ name }) => name)),
  );
  const presets = Object.keys(run.model.presets);
  if (presets.length > 0) command.addOption(new Option("--preset <name>", "a published configuration to start from").choices(presets));
  for (const flag of run.flags) addFlag(command, flag, headings[flag.section](run), run.all);
  return command.addHelpText(
    "after",
    () => `\nMethods for ${run.model.name}:\n${methods.map(({ name, summary }) => `  ${name.padEnd(18)}${summary}`).join("\n")}`,
  );
}

function addFlag(command: Command, flag: Flag, group: string, all: boolean): void {
  const { schema } = flag;
  const description = flag.byDefault === undefined ? flag.description : `${flag.description} (default: ${flag.byDefault})`;
  const isBoolean = schema instanceof z.ZodBoolean;
  const option = new Option(isBoolean ? `--${flag.flag}` : `--${flag.flag} <${flag.value ?? valueName(schema)}>`, description).helpGroup(
    group,
  );
  if (schema instanceof z.ZodEnum) option.choices(schema.options.map(String));
  else if (!isBoolean) option.argParser((text) => parsed(schema, text));
  command.addOption(flag.advanced && !all ? option.hideHelp() : option);
  if (isBoolean && flag.byDefault === "true") command.addOption(new Option(`--no-${flag.flag}`).hideHelp()); // behind --flag: undefined unless given
}

function valueName(schema: z.ZodType): string {
  if (schema instanceof z.ZodEnum) return "name";
  return schema instanceof z.ZodNumber ? "n" : "value";
}

/** A value as its schema wants it. @throws {InvalidArgumentError} if it does not fit. */
function parsed(schema: z.ZodType, text: string): unknown {
  const value = isNumeric(schema) ? number(text) : schema instanceof z.ZodArray ? text.split(",").map(number) : text;
  const result = schema.safeParse(value);
  if (result.success) return value;
  const [issue] = result.error.issues;
  throw new InvalidArgumentError(`${issue!.message.replace(/^Invalid \w+: /, "").replace(/^./, (letter) => letter.toUpperCase())}.`);
}

function isNumeric(schema: z.ZodType): boolean {
  return schema instanceof z.ZodNumber || schema instanceof z.ZodLiteral;
}

/** Whether options say anything of what is learned, rather than where and how it is executed. */
export function describesRun(options: Readonly<Record<string, unknown>>, { flags }: NamedRun): boolean {
  if (["config", "preset", "set", "method"].some((name) => options[name] !== undefined)) return true;
  return flags.some(({ flag, section }) => section !== "execution" && options[optionKey(flag)] !== undefined);
}

/**
 * The configuration that the options of a command give: `base`, then --preset, --config, flags and --set, each over those before.
 *
 * @throws {UsageError} for an assignment that is none.
 */
export function partsOf(
  options: Readonly<Record<string, unknown>>,
  { model, method, file, flags }: NamedRun,
  base: ConfigPart = {},
): ConfigPart[] {
  const parts: ConfigPart[] = [base];
  const preset = model.presets[options.preset as string];
  if (preset !== undefined) parts.push(presetPart(preset, method));
  if (file !== undefined) parts.push(file);
  parts.push({ model: { name: model.name }, ...(options.method !== undefined && { method: { name: method } }) });
  for (const { flag, path } of flags) {
    const value = options[optionKey(flag)];
    if (value !== undefined) parts.push(nested(path, value));
  }
  const set = assignments((options.set as string[] | undefined) ?? [], "--set");
  for (const [path, value] of Object.entries(set)) parts.push(nested(path, value));
  return parts;
}

/** The configuration that the options of a command describe. @throws {UsageError} for unknown options and wrong values. */
export function runConfigOf(
  registry: Registry,
  options: Readonly<Record<string, unknown>>,
  run: NamedRun,
  base: ConfigPart = {},
): RunConfig {
  const named = { method: { name: run.method }, ...base };
  return parseRunConfig(registry, partsOf(options, run, named), "the options");
}

async function readConfigFile(file: string): Promise<ConfigPart> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new UsageError("noConfigFile", { file }, `--config ${file}: the file cannot be read. Check the path.`, { cause });
  });
  const value = parseStrictJson(text.replace(/^\uFEFF/, ""), file);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as ConfigPart;
  throw new UsageError("badConfigFile", { file }, `--config ${file}: expected is a JSON object, such as --dry-run prints.`);
}

/** The message for an option that a command lacks: where it belongs, and the nearest one. */
export function explainFlag(registry: Registry, run: NamedRun, flag: string): string {
  const key = allFlags(registry)
    .find((one) => one.flag === flag)
    ?.path.split(".")
    .at(-1);
  const owners = key === undefined ? [] : registry.ownersOf(key);
  const belongs = owners.length === 0 ? "" : ` It belongs to ${owners.join("; ")}.`;
  return `${run.model.name} trained by ${run.method} has no --${flag}.${belongs}`;
}

/** The options of all models and methods. */
function allFlags(registry: Registry): readonly Flag[] {
  return registry.models.flatMap((model) =>
    registry.methodsFor(model).flatMap((method) => flagsOf(configSchema(registry, model.name, method.name))),
  );
}

/** "p-mean" -> "pMean" */
function optionKey(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Settings by path, of words PATH=VALUE. @throws {UsageError} for a word that is none. */
export function assignments(words: readonly string[], option: string): Readonly<Record<string, unknown>> {
  const entries = words.map((word): [string, unknown] => {
    const [path, ...rest] = word.split("=");
    if (rest.length > 0) return [path!, literal(rest.join("="))];
    throw new UsageError("badSet", { assignment: word }, `${option} ${word}: expected is PATH=VALUE, e.g. training.floor=0.1.`);
  });
  return Object.fromEntries(entries);
}

function nested(path: string, value: unknown): ConfigPart {
  return path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as ConfigPart;
}

/** JSON where it is JSON, else the text itself. */
function literal(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
