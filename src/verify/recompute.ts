import { type BatchLevels, convert, type DiffusionBlocks, levelInputs } from "../blocks/index.ts";
import { levelNames, levelsOf, logNormalNoise, partition } from "../diffusion/index.ts";
import { FormatError } from "../errors.ts";
import { classifyByDenoising } from "../inference/index.ts";
import { officialChoices, vit } from "../models/index.ts";
import { plainContext } from "../nn/index.ts";
import { encodeModel } from "../onnx/index.ts";
import { key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { createProgram, grad, type HostArray, input, rewritesFor } from "../tensor/index.ts";
import { createCaller, parameterNames } from "../train/index.ts";
import type { ReferenceFile } from "./reference.ts";

/** A result under the name and in the layout of a reference file. */
export interface Result {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** The block that made it; undefined for the reverse process through all blocks. */
  readonly block: number | undefined;
}

/**
 * Computes what a reference file holds the results of, with the functions that training and prediction use: for each block the logits,
 * cross-entropies, loss and gradients at the file's noise, then one reverse process through the blocks from the file's start.
 *
 * @throws {FormatError} if an input or a parameter is missing, of a wrong shape, or out of range.
 */
export async function recompute(file: ReferenceFile, device: Device): Promise<Result[]> {
  const dblocks = convertOfficial(file);
  const parameters = file.layout.toOurs((name, shape) => file.read(`param.${name}`, shape));
  const results: Result[] = [];
  for (const b of dblocks.blocks.keys()) results.push(...(await recomputeBlock(dblocks, b, file, parameters, device)));
  results.push(...(await recomputeWalk(dblocks, file, parameters, device)));
  return results;
}

/** The network of the file with every choice as the official code has it. */
function convertOfficial({ config, layerRanges }: ReferenceFile): DiffusionBlocks {
  const { imageSize, patchSize, channels, width, heads, mlpWidth, classes, condWidth, sigmaData, layerNormEps } = config;
  const numLayers = layerRanges.at(-1)![1];
  const architecture = vit({
    imageSize,
    patchSize,
    channels,
    width,
    mlpWidth,
    numLayers,
    numHeads: heads,
    numClasses: classes,
    labelToken: "class",
    epsilon: layerNormEps,
  });
  return convert(architecture, {
    partition: partition({ numBlocks: layerRanges.length, noise: logNormalNoise({ sigmaData }) }),
    layersPerBlock: layerRanges.map(([first, end]) => end - first),
    ...officialChoices,
    lossWeighting: "edm", // per sample, as the paper states it
    condWidth,
  });
}

type Parameters = ReadonlyMap<string, Float32Array>;

async function recomputeBlock(
  dblocks: DiffusionBlocks,
  b: number,
  file: ReferenceFile,
  parameters: Parameters,
  device: Device,
): Promise<Result[]> {
  const { architecture, partition } = dblocks;
  const { batchSize, config } = file;
  const unit = dblocks.units[b]!;
  const { dtype, shape } = architecture.inputType(batchSize);
  const batch = { input: input("input", shape, dtype), labels: input("labels", [batchSize], "int32") };
  const types = levelInputs(batchSize);
  const levels = Object.fromEntries(levelNames.map((name) => [name, input(name, types[name].shape)])) as unknown as BatchLevels;
  const noise = { levels, epsilon: input("epsilon", [batchSize, config.width]) };
  const { logits, crossEntropy, loss } = dblocks.denoisingLoss(b, batch, noise, plainContext);
  const paths = [...unit.trainable.keys()];
  const gradients = grad(loss, [...unit.trainable.values()]);
  const outputs = { logits, crossEntropy, loss, ...Object.fromEntries(paths.map((path, i) => [`gradient/${path}`, gradients[i]!])) };
  const program = createProgram(outputs, { names: parameterNames([unit]), rewrites: rewritesFor(device.name) });

  const candidates: Record<string, HostArray> = {
    ...Object.fromEntries(parameters),
    ...levelsOf(readSigmas(file, b), partition.noise),
    input: readPixels(file),
    labels: readLabels(file),
    epsilon: Float32Array.from(file.read("in.epsilon", [batchSize, config.width])),
  };
  const executable = await device.compile(encodeModel(program));
  try {
    const values = (await executable.run(Object.fromEntries(program.inputs.map(({ name }) => [name, candidates[name]!])))) as Record<
      string,
      Float32Array
    >;
    const official = file.layout.toOfficial(new Map(paths.map((path) => [path, values[`gradient/${path}`]!])));
    return [
      { block: b, name: `out.logits.${b}`, shape: [batchSize, config.classes], data: values.logits! },
      { block: b, name: `out.crossEntropy.${b}`, shape: [batchSize], data: values.crossEntropy! },
      { block: b, name: `out.loss.${b}`, shape: [1], data: values.loss! },
      ...[...official].map(([name, data]) => ({ block: b, name: `grad.${b}.${name}`, shape: file.layout.shapes.get(name)!, data })),
    ];
  } finally {
    await executable.dispose();
  }
}

async function recomputeWalk(dblocks: DiffusionBlocks, file: ReferenceFile, parameters: Parameters, device: Device): Promise<Result[]> {
  const { batchSize, config } = file;
  const caller = createCaller(dblocks, { device, values: (path) => parameters.get(path)!, batchSize });
  try {
    let state: Float32Array = new Float32Array(0);
    const logits = await classifyByDenoising({
      model: dblocks,
      sampling: dblocks.sampling,
      call: caller.call,
      input: readPixels(file),
      batchSize,
      key: key("reference"),
      start: Float32Array.from(file.read("in.z0", [batchSize, config.width])),
      levels: readGrid(file),
      onEvaluation: ({ z }) => {
        state = z;
      },
    });
    return [
      { block: undefined, name: "out.samplerState", shape: [batchSize, config.width], data: state },
      { block: undefined, name: "out.samplerLogits", shape: [batchSize, config.classes], data: logits },
    ];
  } finally {
    await caller.dispose();
  }
}

function readPixels(file: ReferenceFile): Float32Array {
  const { channels, imageSize } = file.config;
  return Float32Array.from(file.read("in.pixels", [file.batchSize, channels, imageSize, imageSize]));
}

function readLabels(file: ReferenceFile): Int32Array {
  const { classes } = file.config;
  return Int32Array.from(file.read("in.labels", [file.batchSize]), (label) => {
    if (Number.isInteger(label) && label >= 0 && label < classes) return label;
    throw new FormatError(
      "label",
      { label, classes },
      `Reference file: "in.labels" holds ${label}; a label is a whole number from 0 to ${classes - 1}.`,
    );
  });
}

function readSigmas(file: ReferenceFile, block: number): Float32Array {
  const name = `in.sigma.${block}`;
  const sigmas = file.read(name, [file.batchSize]);
  checkSigmas(name, sigmas);
  return Float32Array.from(sigmas);
}

function readGrid(file: ReferenceFile): readonly number[] {
  const name = "in.samplerSigmas";
  const grid = file.readList(name);
  checkSigmas(name, grid);
  if (grid.some((sigma, i) => i > 0 && sigma > grid[i - 1]!))
    throw new FormatError("grid", { name, grid: [...grid] }, `Reference file: "${name}" must descend: ${grid.join(", ")}.`);
  return [...grid];
}

function checkSigmas(name: string, sigmas: Float64Array): void {
  const wrong = sigmas.find((sigma) => !(sigma > 0 && sigma < Number.POSITIVE_INFINITY));
  if (wrong !== undefined)
    throw new FormatError(
      "sigma",
      { name, sigma: wrong },
      `Reference file: "${name}" holds ${wrong}; a noise level is positive and finite.`,
    );
}
