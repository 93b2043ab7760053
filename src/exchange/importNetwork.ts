import { type ImageInfo, type TextInfo, tokenizerFromJson } from "../data/index.ts";
import { buildMethod, type ConfigPart, parseRunConfig, type Registry, type RunConfig, resolveConfig } from "../define/index.ts";
import { DataError, FormatError, UsageError } from "../errors.ts";
import { asFloat32, openSealedJson, readSafetensors } from "../formats/index.ts";
import { decodeModel } from "../onnx/index.ts";
import { type StateToSave, startArrays, type TrainingMethod, type Unit } from "../train/index.ts";
import { layoutOf } from "./layouts/index.ts";
import type { PublishedConfig, PublishedNetwork } from "./layouts/layout.ts";
import { type PublishedTensor, PublishedWeights } from "./publishedWeights.ts";
import type { RunContent } from "./runContent.ts";
import { tensorName } from "./runFiles.ts";

/** The files of a network: a folder on disk, an archive, files that were handed over. */
export interface NetworkFiles {
  /** What they are called: "vit-base". */
  readonly name: string;
  /** Where they lie, in messages, and as the path of the data of a network that others trained. */
  readonly path: string;
  /** The content of a file; undefined if there is none of this name. */
  read(name: string): Promise<Uint8Array | undefined>;
}

export interface ImportNetworkOptions {
  readonly registry: Registry;
  readonly files: NetworkFiles;
  /** Tokens of a sequence, of a language model of others: as many as it was trained with, at most 1,024, by default. */
  readonly length?: number | undefined;
}

/** A network that was read. */
export interface ImportedNetwork extends RunContent {
  /** Of each parameter by its path, its numbers. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** Tensors that were read. */
  readonly tensors: number;
}

/**
 * Reads a network that was exported: of a run of ours, as safetensors or as ONNX, bit for bit; or ViT, DeiT, GPT-2 and Llama in the files
 * of Hugging Face, which become runs trained end to end, or the ViT of the official DiffusionBlocks code and DiT. Numbers may be float32, float16, bfloat16 or float64.
 *
 * @throws {DataError} for files that are missing. {FormatError} for a tensor that is missing, unknown or of another shape, by its name.
 * {UsageError} for an architecture that is not known.
 */
export async function importNetwork({ registry, files, length }: ImportNetworkOptions): Promise<ImportedNetwork> {
  const source = (await ownOnnx(registry, files)) ?? (await safetensors(registry, files, length));
  const { task } = resolveConfig(registry, source.config);
  const method = buildMethod(registry, source.config, task.shapeOf(source.info, source.config.data));
  return { ...source, method, values: source.values ?? ownValues(method, source.weights) };
}

/** The state in which a unit of a network that was read starts to learn, for the store of its run. */
export function importedState({ values }: Pick<ImportedNetwork, "values">, unit: Unit): StateToSave {
  return { step: 0, arrays: startArrays(unit, (path) => values.get(path)!), metadata: { updates: "0" } };
}

/** What is known before the method is built. */
interface Source {
  readonly config: RunConfig;
  readonly info: { readonly name: string };
  readonly weights: PublishedWeights;
  readonly tensors: number;
  /** Of each parameter; undefined where they have our own names. */
  readonly values?: ReadonlyMap<string, Float32Array>;
}

/** network.onnx of a run of ours, where no config.json lies beside it. Of other ONNX files nothing is known. */
async function ownOnnx(registry: Registry, files: NetworkFiles): Promise<Source | undefined> {
  if ((await files.read("config.json")) !== undefined) return undefined;
  const bytes = await files.read("network.onnx");
  if (bytes === undefined) return undefined;
  const where = whereOf(files, "network.onnx");
  const { initializers, metadata } = decodeModel(bytes);
  const { config, info } = metadata;
  if (config === undefined || info === undefined) {
    const message = `${where} does not say of which run it is: its metadata has no config and info, as files of dblocks export have. Export the run again, or with --format safetensors.`;
    throw new FormatError("noConfig", { path: where }, message);
  }
  const tensors = new Map<string, PublishedTensor>();
  for (const [name, { dtype, shape, raw }] of initializers)
    if (name.includes("/") && dtype === "float32")
      tensors.set(tensorName(name), { shape, read: () => new Float32Array(new Uint8Array(raw).buffer) });
  return {
    config: parseRunConfig(registry, [JSON.parse(config) as ConfigPart], where),
    info: JSON.parse(info) as { readonly name: string },
    weights: new PublishedWeights(tensors, where),
    tensors: tensors.size,
  };
}

async function safetensors(registry: Registry, files: NetworkFiles, length: number | undefined): Promise<Source> {
  const config = (await readJson(files, "config.json")) as PublishedConfig;
  const tensors = await readTensors(files);
  const weights = new PublishedWeights(tensors, files.path);
  const source = isOwn(config) ? await ownRun(registry, files, config) : await publishedRun(registry, { files, config, weights, length });
  return { ...source, weights, tensors: tensors.size };
}

/** Whether a configuration is that of a run of ours. */
function isOwn(config: PublishedConfig): boolean {
  return typeof config.model === "object" && typeof config.method === "object";
}

async function ownRun(registry: Registry, files: NetworkFiles, config: PublishedConfig) {
  const info = (await readJson(files, "data.json")) as { readonly name: string };
  return { config: parseRunConfig(registry, [config as ConfigPart], whereOf(files, "config.json")), info };
}

function ownValues({ units }: TrainingMethod, weights: PublishedWeights): ReadonlyMap<string, Float32Array> {
  const parameters = new Map(units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const values = new Map([...parameters].map(([path, { shape }]) => [path, weights.take(tensorName(path), ...shape)]));
  weights.refuseRest(/^$/);
  return values;
}

interface Published {
  readonly files: NetworkFiles;
  readonly config: PublishedConfig;
  readonly weights: PublishedWeights;
  readonly length: number | undefined;
}

async function publishedRun(registry: Registry, { files, config: published, weights, length }: Published) {
  const { model, method = "end-to-end", shape, values } = layoutOf(published).read(published, weights, { length });
  const info = shape.kind === "images" ? await imageInfo(files, shape) : await textInfo(files, shape);
  const { path, name } = files;
  const data = { path, name, ...(shape.kind === "text" && { length: shape.length }) };
  if (shape.kind === "images" && length !== undefined)
    throw new UsageError("unknownOption", { length }, "--length: it is for language models; this network reads images.");
  const config = parseRunConfig(registry, [{ model, method, data } as ConfigPart]);
  return { config, info, values };
}

type Sizes<Kind> = Extract<PublishedNetwork["shape"], { readonly kind: Kind }>;

async function imageInfo(files: NetworkFiles, sizes: Sizes<"images">): Promise<ImageInfo> {
  const { imageSize, channels, classNames, isLatent = false, normalisation: usual = { mean: 0.5, std: 0.5 } } = sizes;
  const normalisation = (await readJson(files, "preprocessor_config.json", false)) as
    | { image_mean?: number[]; image_std?: number[] }
    | undefined;
  const each = (values: readonly number[] | undefined, fallback: number): number[] =>
    Array.from({ length: channels }, (_, c) => values?.[c] ?? fallback);
  return {
    name: files.name,
    mean: each(normalisation?.image_mean, usual.mean),
    std: each(normalisation?.image_std, usual.std),
    channels,
    height: imageSize,
    width: imageSize,
    numClasses: classNames.length,
    classNames,
    isLatent,
  };
}

async function textInfo(files: NetworkFiles, { vocabSize }: Sizes<"text">): Promise<TextInfo> {
  const json = await readJson(files, "tokenizer.json");
  const { info } = tokenizerFromJson(json, whereOf(files, "tokenizer.json"));
  return { name: files.name, vocabSize, tokenizer: info };
}

function whereOf({ path }: NetworkFiles, name: string): string {
  return `${path}/${name}`;
}

const expected =
  "An imported folder holds config.json with model.safetensors or its shards, beside them data.json of a run of ours, or tokenizer.json of a language model of others; or network.onnx of a run of ours.";

/** @param isNeeded throws where the file is missing. */
async function readJson(files: NetworkFiles, name: string, isNeeded = true): Promise<unknown> {
  const path = whereOf(files, name);
  const bytes = await files.read(name);
  if (bytes !== undefined) return openSealedJson(new TextDecoder().decode(bytes), path);
  if (!isNeeded) return undefined;
  throw new DataError("noFile", { path }, `${path} cannot be read: there is no such file. ${expected}`);
}

/** All tensors of a folder, of one file or of the shards that its index names. */
async function readTensors(files: NetworkFiles): Promise<Map<string, PublishedTensor>> {
  const index = (await readJson(files, "model.safetensors.index.json", false)) as { weight_map?: Record<string, string> } | undefined;
  const tensors = new Map<string, PublishedTensor>();
  for (const [file, names] of shardsOf(files, index)) {
    const path = whereOf(files, file);
    const bytes = await files.read(file);
    if (bytes === undefined) throw new DataError("noFile", { path }, `${path} cannot be read: there is no such file. ${expected}`);
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
function shardsOf(files: NetworkFiles, index: { weight_map?: Record<string, string> } | undefined): Map<string, string[] | undefined> {
  if (index === undefined) return new Map([["model.safetensors", undefined]]);
  const shards = new Map<string, string[]>();
  for (const [name, file] of Object.entries(index.weight_map ?? {})) {
    if (typeof file !== "string" || /[/\\]/.test(file) || file === "..") {
      const message = `${whereOf(files, "model.safetensors.index.json")}: ${name} lies in ${JSON.stringify(file)}; the name of a file beside the index is expected.`;
      throw new FormatError("badIndex", { name, file }, message);
    }
    shards.set(file, [...(shards.get(file) ?? []), name]);
  }
  return shards;
}
