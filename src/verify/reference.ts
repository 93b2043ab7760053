import { z } from "zod";
import { FormatError } from "../errors.ts";
import { asFloat64, asInt, parseStrictJson, readSafetensors, type SafetensorsTensor } from "../formats/index.ts";
import { OfficialLayout, type OfficialVit } from "./officialLayout.ts";

const size = z.int().min(1);
const configSchema = z.object({
  imageSize: size,
  patchSize: size,
  channels: size,
  width: size,
  heads: size,
  layers: size,
  mlpWidth: size,
  condWidth: size,
  classes: size,
  blocks: size,
  sigmaData: z.number().positive(),
  layerNormEps: z.number().nonnegative(),
}) satisfies z.ZodType<OfficialVit>;

/**
 * A network in the layout of the official DiffusionBlocks code, with inputs and what another implementation made of
 * them: safetensors with
 * `param.NAME`, `in.NAME`, `out.NAME` and `grad.BLOCK.NAME`, and the sizes as JSON in the metadata.
 */
export class ReferenceFile {
  readonly config: OfficialVit;
  /** Layers [first, end) of each block. */
  readonly layerRanges: readonly (readonly [number, number])[];
  readonly layout: OfficialLayout;
  readonly batchSize: number;
  readonly #tensors: ReadonlyMap<string, SafetensorsTensor>;

  /** @throws {FormatError} if the file is of another kind, a size is missing or impossible, or a parameter is none of this network's. */
  constructor(bytes: Uint8Array) {
    const { metadata, tensors } = readSafetensors(bytes);
    if (metadata.architecture !== "vit-diffusionblocks") {
      throw new FormatError(
        "architecture",
        { architecture: metadata.architecture },
        `The reference file's architecture is "${metadata.architecture ?? "(none)"}"; only "vit-diffusionblocks" is known.`,
      );
    }
    this.config = readConfig(metadata.config);
    this.#tensors = tensors;
    this.layerRanges = this.#assignLayers();
    this.layout = new OfficialLayout(this.config, this.layerRanges);
    this.#refuseUnknownParameters();
    this.batchSize = this.#find("in.labels").shape[0] ?? 0;
    if (this.batchSize < 1) throw new FormatError("shape", { name: "in.labels" }, 'Reference file: "in.labels" has no samples.');
  }

  /**
   * A tensor of the file.
   * @throws {FormatError} if it is missing or has another shape.
   */
  read(name: string, shape: readonly number[]): Float64Array {
    const tensor = this.#find(name);
    if (tensor.shape.join() !== shape.join()) {
      throw new FormatError(
        "shape",
        { name, shape: tensor.shape, expected: shape },
        `Reference file: "${name}" is [${tensor.shape.join(", ")}]; with these sizes it must be [${shape.join(", ")}].`,
      );
    }
    return tensor.dtype.startsWith("F") || tensor.dtype === "BF16" ? asFloat64(tensor) : Float64Array.from(asInt(tensor));
  }

  /** A list of any length. @throws {FormatError} if it is missing, no list, or empty. */
  readList(name: string): Float64Array {
    const { shape } = this.#find(name);
    if (shape.length === 1 && shape[0]! > 0) return this.read(name, shape);
    throw new FormatError("shape", { name, shape }, `Reference file: "${name}" is [${shape.join(", ")}]; it must be a list.`);
  }

  /** The results that the file holds. */
  resultNames(): string[] {
    return [...this.#tensors.keys()].filter((name) => name.startsWith("out.") || name.startsWith("grad."));
  }

  #find(name: string): SafetensorsTensor {
    const tensor = this.#tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new FormatError("missingTensor", { name }, `Reference file: the tensor "${name}" is missing.`);
  }

  /** Equal shares; where the layers do not divide, the layers for which each block has gradients. */
  #assignLayers(): [number, number][] {
    const { layers, blocks } = this.config;
    let first = 0;
    return Array.from({ length: blocks }, (_, b) => {
      const start = first;
      if (layers % blocks === 0) first += layers / blocks;
      else while (this.#tensors.has(`grad.${b}.layers.${first}.q.weight`)) first++;
      if (first > start && first <= layers) return [start, first];
      throw new FormatError(
        "layers",
        { layers, blocks },
        `Reference file: ${layers} layers do not divide into ${blocks} blocks, and block ${b} has no gradients that tell its layers.`,
      );
    });
  }

  #refuseUnknownParameters(): void {
    const isUnassigned = (name: string): boolean => Number(/^layers\.(\d+)\./.exec(name)?.[1] ?? -1) >= this.layerRanges.at(-1)![1];
    for (const key of this.#tensors.keys()) {
      const name = key.slice("param.".length);
      if (
        !key.startsWith("param.") ||
        this.layout.shapes.has(name) ||
        (isUnassigned(name) && this.config.layers % this.config.blocks !== 0)
      )
        continue;
      throw new FormatError("unknownParameter", { name: key }, `Reference file: "${key}" is no parameter of a network with these sizes.`);
    }
  }
}

function readConfig(json: string | undefined): OfficialVit {
  if (json === undefined) throw new FormatError("noConfig", {}, 'Reference file: the metadata have no "config".');
  const parsed = configSchema.safeParse(parseStrictJson(json, "the reference file's config"));
  if (!parsed.success)
    throw new FormatError("config", { config: json }, `Reference file: the config does not fit:\n${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  const { imageSize, patchSize, width, heads } = parsed.data;
  if (imageSize % patchSize !== 0 || width % heads !== 0) {
    throw new FormatError(
      "config",
      { config: json },
      `Reference file: patches of ${patchSize} must divide an image of ${imageSize}, and ${heads} heads a width of ${width}.`,
    );
  }
  return parsed.data;
}
