import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type ImageInfo, type TextInfo, tokenizerFromJson } from "../data/index.ts";
import {
  buildMethod,
  buildOptimizer,
  type ConfigPart,
  configJsonSchema,
  identityOf,
  parseRunConfig,
  partitionFile,
  type Registry,
  type RunConfig,
  resolveConfig,
} from "../define/index.ts";
import { DataError, FormatError, UsageError } from "../errors.ts";
import { layoutOf, type PublishedConfig, type PublishedNetwork, type PublishedTensor, PublishedWeights } from "../exchange/index.ts";
import { asFloat32, openSealedJson, readSafetensors } from "../formats/index.ts";
import { configHash, folderStore, openRun } from "../run/index.ts";
import { startArrays, type TrainingMethod } from "../train/index.ts";
import { tensorName } from "./exportRun.ts";

export interface ImportRunOptions {
  readonly registry: Registry;
  /** Folder with config.json and model.safetensors, or its shards with model.safetensors.index.json. */
  readonly from: string;
  /** Folder of the new run. */
  readonly out: string;
  /** Tokens of a sequence, of a language model of others: as many as it was trained with, at most 1,024, by default. */
  readonly length?: number | undefined;
}

/** What was read. */
export interface ImportedRun {
  readonly config: RunConfig;
  readonly parameters: number;
  readonly tensors: number;
}

/**
 * Makes a run of published weights: of a run that was exported as safetensors, bit for bit, or of ViT, DeiT and Llama in the files
 * of Hugging Face, which become runs trained end to end. Numbers may be float32, float16, bfloat16 or float64.
 *
 * @throws {DataError} for files that are missing. {FormatError} for a tensor that is missing, unknown or of another shape, by its name.
 * {UsageError} for an architecture that is not known, or a folder that holds a run.
 */
export async function importRun({ registry, from, out, length }: ImportRunOptions): Promise<ImportedRun> {
  const config = (await readJson(from, "config.json")) as PublishedConfig;
  const tensors = await readTensors(from);
  const weights = new PublishedWeights(tensors, from);
  const imported = isOwn(config) ? await ownRun(registry, from, config) : await publishedRun(registry, { from, config, weights, length });
  const { task } = resolveConfig(registry, imported.config);
  const method = buildMethod(registry, imported.config, task.shapeOf(imported.info, imported.config.data));
  const values = imported.values ?? ownValues(method, weights);
  await write(registry, out, { ...imported, method, values });
  const parameters = [...values.values()].reduce((sum, { length: numbers }) => sum + numbers, 0);
  return { config: imported.config, parameters, tensors: tensors.size };
}

interface Imported {
  readonly config: RunConfig;
  readonly info: { readonly name: string };
  /** Of each parameter; undefined where they have our own names. */
  readonly values?: ReadonlyMap<string, Float32Array>;
}

/** Whether a configuration is that of a run of ours. */
function isOwn(config: PublishedConfig): boolean {
  return typeof config.model === "object" && typeof config.method === "object";
}

async function ownRun(registry: Registry, from: string, config: PublishedConfig): Promise<Imported> {
  const info = (await readJson(from, "data.json")) as { readonly name: string };
  return { config: parseRunConfig(registry, [config as ConfigPart], join(from, "config.json")), info };
}

function ownValues({ units }: TrainingMethod, weights: PublishedWeights): ReadonlyMap<string, Float32Array> {
  const parameters = new Map(units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const values = new Map([...parameters].map(([path, { shape }]) => [path, weights.take(tensorName(path), ...shape)]));
  weights.refuseRest(/^$/);
  return values;
}

interface Published {
  readonly from: string;
  readonly config: PublishedConfig;
  readonly weights: PublishedWeights;
  readonly length: number | undefined;
}

async function publishedRun(registry: Registry, { from, config: published, weights, length }: Published): Promise<Imported> {
  const { model, shape, values } = layoutOf(published).read(published, weights);
  const name = basename(resolve(from));
  const info = shape.kind === "images" ? await imageInfo(from, name, shape) : await textInfo(from, name, shape);
  const data = { path: resolve(from), name, ...(shape.kind === "text" && { length: length ?? Math.min(1024, shape.mostTokens) }) };
  if (shape.kind === "images" && length !== undefined)
    throw new UsageError("unknownOption", { length }, "--length: it is for language models; this network reads images.");
  const config = parseRunConfig(registry, [{ model, method: "end-to-end", data } as ConfigPart]);
  return { config, info, values };
}

type Sizes<Kind> = Extract<PublishedNetwork["shape"], { readonly kind: Kind }>;

async function imageInfo(from: string, name: string, { imageSize, channels, classNames }: Sizes<"images">): Promise<ImageInfo> {
  const normalisation = (await readJson(from, "preprocessor_config.json", false)) as
    | { image_mean?: number[]; image_std?: number[] }
    | undefined;
  const each = (values: readonly number[] | undefined): number[] => Array.from({ length: channels }, (_, c) => values?.[c] ?? 0.5);
  return {
    name,
    mean: each(normalisation?.image_mean),
    std: each(normalisation?.image_std),
    channels,
    height: imageSize,
    width: imageSize,
    numClasses: classNames.length,
    classNames,
    isLatent: false,
  };
}

async function textInfo(from: string, name: string, { vocabSize }: Sizes<"text">): Promise<TextInfo> {
  const json = await readJson(from, "tokenizer.json");
  const { info } = tokenizerFromJson(json, join(from, "tokenizer.json"));
  return { name, vocabSize, tokenizer: info };
}

/** @param isNeeded throws where the file is missing. */
async function readJson(from: string, name: string, isNeeded = true): Promise<unknown> {
  const path = join(from, name);
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (!isNeeded && cause.code === "ENOENT") return undefined;
    const message = `${path} cannot be read (${cause.code}). An imported folder holds config.json, model.safetensors, and of a language model tokenizer.json.`;
    throw new DataError("noFile", { path }, message, { cause });
  });
  return text === undefined ? undefined : openSealedJson(text, path);
}

/** All tensors of a folder, of one file or of the shards that its index names. */
async function readTensors(from: string): Promise<Map<string, PublishedTensor>> {
  const index = (await readJson(from, "model.safetensors.index.json", false)) as { weight_map?: Record<string, string> } | undefined;
  const tensors = new Map<string, PublishedTensor>();
  for (const [file, names] of shardsOf(from, index)) {
    const path = join(from, file);
    const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      const message = `${path} cannot be read (${cause.code}). Weights are model.safetensors, or the shards of model.safetensors.index.json.`;
      throw new DataError("noFile", { path }, message, { cause });
    });
    const found = readSafetensors(bytes).tensors;
    for (const name of names ?? found.keys()) {
      const tensor = found.get(name);
      if (tensor === undefined)
        throw new FormatError("missingTensor", { name, path }, `${path} has no tensor ${name}, which the index says it has.`);
      tensors.set(name, { shape: tensor.shape, read: () => asFloat32(tensor) });
    }
  }
  return tensors;
}

/** Files, and of each the tensors that are taken from it: all where there is no index. */
function shardsOf(from: string, index: { weight_map?: Record<string, string> } | undefined): Map<string, string[] | undefined> {
  if (index === undefined) return new Map([["model.safetensors", undefined]]);
  const files = new Map<string, string[]>();
  for (const [name, file] of Object.entries(index.weight_map ?? {})) {
    if (typeof file !== "string" || file !== basename(file)) {
      const message = `${join(from, "model.safetensors.index.json")}: ${name} lies in ${JSON.stringify(file)}; the name of a file beside the index is expected.`;
      throw new FormatError("badIndex", { name, file }, message);
    }
    files.set(file, [...(files.get(file) ?? []), name]);
  }
  return files;
}

interface WholeImport extends Imported {
  readonly method: TrainingMethod;
  readonly values: ReadonlyMap<string, Float32Array>;
}

async function write(registry: Registry, out: string, { config, info, method, values }: WholeImport): Promise<void> {
  const folder = await openRun(out, { create: true });
  if (await folder.hasConfig()) throw new UsageError("otherConfig", { path: out }, `${out} holds a run already. Choose another --out.`);
  await folder.writeFile("config.schema.json", `${JSON.stringify(configJsonSchema(registry, config.model.name, config.method.name))}\n`);
  await folder.writeDataInfo(info);
  await folder.writeConfig(config);
  const partition = partitionFile(method);
  if (partition !== undefined) await folder.writePartition(partition);
  const hash = configHash(identityOf(registry, config, config.data.name ?? info.name));
  const store = folderStore(folder, { configHash: hash, keepLast: config.execution.keepLast });
  const keeps = { optimizer: buildOptimizer(config), ema: config.training.emaDecay !== undefined };
  for (const unit of method.units) {
    const states = await store.openUnit(unit.name);
    await states.save({ step: 0, arrays: startArrays(unit, (path) => values.get(path)!, keeps), metadata: { updates: "0" } });
  }
}
