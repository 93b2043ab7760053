import { z } from "zod";
import { count, defineModel, type ImageData, imageDenoiserKind, type ModelDefinition, option, type Preset } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import {
  type Conditioning,
  type Context,
  defineModule,
  type ImageArchitecture,
  type ImageNetwork,
  initializers,
  type Layer,
  linear,
  mlp,
  patchEmbedding,
  selfAttention,
  sinCosPositions,
  unpatchify,
} from "../nn/index.ts";
import { images } from "../tasks/index.ts";
import { add, gather, geluApproximate, layerNorm, parameter, type Tensor } from "../tensor/index.ts";
import { epsilonOption, type ImageSizes, type Resolved, splitOptions, transformerOptions } from "./options.ts";

/** The options of a diffusion transformer. */
export const ditOptions = z.strictObject({
  patchSize: option(count, { flag: "patch", value: "pixels", description: "side of a patch" }).default(4),
  width: option(count, { description: "width of the residual stream and of the conditioning, a multiple of 4" }).default(128),
  numLayers: transformerOptions.numLayers.default(6),
  numHeads: transformerOptions.numHeads,
  mlpWidth: transformerOptions.mlpWidth,
  dropout: transformerOptions.dropout,
  conditional: option(z.boolean(), { description: "make images by class", advanced: true }).default(true),
  epsilon: epsilonOption("layer", 1e-6),
});

/** Options of a diffusion transformer, and what it knows of the images: 3 channels by default, 0 classes for images without. */
export type DitOptions = z.input<typeof ditOptions> & ImageSizes;

type DitConfig = Resolved<z.output<typeof ditOptions>> & ImageData;

/** The published sizes; all with patches of 2. */
export const ditSizes = {
  "DiT-S/2": { patchSize: 2, width: 384, numLayers: 12, numHeads: 6 },
  "DiT-B/2": { patchSize: 2, width: 768, numLayers: 12, numHeads: 12 },
  "DiT-L/2": { patchSize: 2, width: 1024, numLayers: 24, numHeads: 16 },
  "DiT-XL/2": { patchSize: 2, width: 1152, numLayers: 28, numHeads: 16 },
} as const;

const init = initializers.xavierUniform;

/**
 * Diffusion transformer (Peebles & Xie 2023) without learned variances: a noisy image [batch, channels, size, size]
 * -> an image of its shape, conditioned on the noise level and a class through adaptive layer norms. Positions are
 * fixed; what the head puts out starts at zero.
 *
 * @throws {UsageError} if the patch does not divide the image, the heads or 4 the width.
 */
export function dit(options: DitOptions): ImageArchitecture {
  const { sizes, config: own } = splitOptions("dit", ditOptions, options);
  const numKnown = own.conditional ? sizes.numClasses : 0;
  const config: DitConfig = { ...own, ...sizes, numClasses: numKnown, mlpWidth: own.mlpWidth ?? 4 * own.width };
  const { imageSize, channels, patchSize, width, numHeads, numClasses, epsilon } = config;
  if (imageSize % patchSize !== 0)
    throw new UsageError("patchSize", { imageSize, patchSize }, `dit: patches of ${patchSize} do not divide an image of ${imageSize}.`);
  if (width % numHeads !== 0 || width % 4 !== 0)
    throw new UsageError("numHeads", { width, numHeads }, `dit: a width of ${width} must be a multiple of ${numHeads} heads and of 4.`);
  return {
    name: "dit",
    numLayers: config.numLayers,
    numClasses,
    condWidth: width,
    epsilon,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    build: (conditioning): ImageNetwork => ({
      stem: ditStem(config),
      layers: Array.from({ length: config.numLayers }, () => ditLayer(config, conditioning)),
      head: ditHead(config, conditioning),
      labels: numClasses > 0 ? labelTable(numClasses, width) : undefined,
    }),
  };
}

function ditStem(config: DitConfig): ImageNetwork["stem"] {
  const patches = patchEmbedding({ ...config, init });
  const positions = sinCosPositions(config.imageSize / config.patchSize, config.width);
  return defineModule({ patches }, (z: Tensor) => add(patches(z), positions));
}

function ditLayer({ width, numHeads, mlpWidth, dropout }: DitConfig, conditioning: Conditioning): Layer {
  const parts = {
    norm1: conditioning.branchNorm(width),
    attention: selfAttention({ width, numHeads, dropout, init }),
    norm2: conditioning.branchNorm(width),
    mlp: mlp({ width, hidden: mlpWidth, activation: geluApproximate, dropout, init }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

function ditHead(config: DitConfig, conditioning: Conditioning): ImageNetwork["head"] {
  const { width, patchSize, channels, epsilon } = config;
  const parts = {
    modulation: conditioning.modulation(width),
    project: linear(width, patchSize ** 2 * channels, { init: initializers.zeros }),
  };
  return defineModule(parts, (h: Tensor, context: Context) =>
    unpatchify(parts.project(parts.modulation(layerNorm(h, { epsilon }), context)), config),
  );
}

/** One row for each class and one that says nothing. */
function labelTable(numClasses: number, width: number): NonNullable<ImageNetwork["labels"]> {
  const table = parameter([numClasses + 1, width], initializers.normal(0.02));
  return defineModule({ table }, (labels: Tensor) => gather(table, labels));
}

/** Published sizes with the paper's training on images (DiffusionBlocks, Section 5.2, Appendix E.2): 100 epochs, batches of 512. */
const ditPresets: Readonly<Record<string, Preset>> = Object.fromEntries(
  Object.entries(ditSizes).map(([name, network]): [string, Preset] => [
    name,
    {
      description: `${name} as published, trained in three blocks as in the paper`,
      model: { ...network, mlpWidth: 4 * network.width },
      method: { name: "blocks", numBlocks: 3, overlap: 0.05 },
      training: {
        epochs: 100,
        batchSize: 512,
        learningRate: network.numLayers > 12 ? 5e-5 : 1e-4,
        schedule: "constant",
        warmup: 0,
        weightDecay: 0,
      },
    },
  ]),
);

export const ditModel: ModelDefinition<z.output<typeof ditOptions>, ImageArchitecture, ImageData> = defineModel({
  name: "dit",
  summary: "diffusion transformer that makes images",
  kind: imageDenoiserKind,
  task: images,
  schema: ditOptions,
  defaults: {
    training: { batchSize: 16, learningRate: 3e-3, weightDecay: 0, emaDecay: 0.999 },
    data: { augmentation: "flip" },
  },
  presets: ditPresets,
  build: (options, shape) => dit({ ...options, ...shape }),
});
