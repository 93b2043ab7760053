import { z } from "zod";
import {
  count,
  defineModel,
  dropoutRate,
  type ImageData,
  type ModelDefinition,
  type NoPropModel,
  noPropKind,
  option,
} from "../define/index.ts";
import { UsageError } from "../errors.ts";
import {
  type ClassifierArchitecture,
  type ClassifierNetwork,
  type Conditioning,
  type Context,
  convolution,
  defineModule,
  dropout,
  initializers,
  type Layer,
  layerNorm,
  linear,
  type Module,
  type NoPropNetwork,
  type NoPropPaths,
  sinusoid,
  type TimedNoPropPaths,
} from "../nn/index.ts";
import { classes } from "../tasks/index.ts";
import { add, concat, maxPool2d, mul, relu, reshape, type Tensor } from "../tensor/index.ts";
import { type ImageSizes, splitOptions } from "./options.ts";

export interface NoPropCnnOptions {
  /** Side of the images, a multiple of 4. */
  readonly imageSize: number;
  readonly channels?: number;
  readonly numClasses: number;
  readonly dropout?: number;
}

/** The options of NoProp's network. */
export const noPropCnnOptions = z.strictObject({
  dropout: option(dropoutRate, { description: "dropout rate" }).default(0.2),
  embedding: option(z.enum(["one-hot", "learned", "prototype"]), {
    flag: "class-embedding",
    value: "kind",
    description: "class embeddings: one-hot and fixed, learned, or learned from images of the classes",
  }).default("one-hot"),
  embeddingWidth: option(count, { description: "columns of learned class embeddings" }).default(20),
});

/** Options of NoProp's network, and what it knows of the images: 3 channels by default. */
export type NoPropCnnModelOptions = z.input<typeof noPropCnnOptions> & ImageSizes;

/** NoProp's network with its class embeddings: one number for each class, as many as asked for, or one for each of the image's. */
export function noPropModel(options: NoPropCnnModelOptions): NoPropModel {
  const { sizes, config } = splitOptions("noprop-cnn", noPropCnnOptions, options);
  const { embedding, dropout } = config;
  const pixels = sizes.channels * sizes.imageSize ** 2;
  const embeddingWidth = { "one-hot": sizes.numClasses, learned: config.embeddingWidth, prototype: pixels }[embedding];
  return {
    network: noPropNetwork({ ...sizes, dropout }),
    embedding,
    embeddingWidth,
    layered: (numLayers) => noPropCnn({ ...sizes, dropout, embeddingWidth, numLayers }),
  };
}

const features = 256;
const epsilon = 1e-5;
const init = initializers.fanInUniform;

/**
 * The network of NoProp (Li, Teh, Pascanu 2025, Figure 6), of which each block has a whole one. Layer norm stands
 * where the figure has batch norm, so that the answer to an image depends on that image alone.
 *
 * @throws {UsageError} if the image's side is no multiple of 4: it is halved twice.
 */
export function noPropNetwork({ imageSize, channels = 3, numClasses, dropout: rate = 0.2 }: NoPropCnnOptions): NoPropNetwork {
  if (imageSize % 4 !== 0) {
    const message = `noprop-cnn: the side of the images must be a multiple of 4, got ${imageSize}. Crop or scale them.`;
    throw new UsageError("imageSize", { imageSize }, message);
  }
  const image = { imageSize, channels, rate };
  const paths = (embeddingWidth: number, isTimed: boolean): NoPropPaths => {
    const isImage = embeddingWidth === channels * imageSize ** 2;
    return {
      image: imagePath(image, isTimed),
      label: isImage ? pixelPath(image, isTimed) : isTimed ? dense(embeddingWidth, features) : vectorPath(embeddingWidth),
      joint: jointPath(isTimed ? 3 : 2, isTimed),
      classifier: linear(128, numClasses, { init }),
    };
  };
  return {
    name: "noprop-cnn",
    numClasses,
    features,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    discrete: (embeddingWidth) => paths(embeddingWidth, false),
    continuous: (embeddingWidth) => ({ ...paths(embeddingWidth, true), time: timePath() }),
  };
}

interface ImagePathOptions {
  readonly imageSize: number;
  readonly channels: number;
  readonly rate: number;
}

/** Ends in a norm, or in ReLU where there is a time path beside it. */
function imagePath({ imageSize, channels, rate }: ImagePathOptions, isTimed: boolean): NoPropPaths["image"] {
  const flat = 128 * (imageSize / 4) ** 2;
  const parts = {
    conv1: convolution(channels, 32),
    conv2: convolution(32, 64),
    conv3: convolution(64, 128),
    dense: linear(flat, features, { init }),
    norm: isTimed ? undefined : layerNorm(features, epsilon),
  };
  return defineModule(parts, (images: Tensor, context: Context) => {
    const drop = (x: Tensor): Tensor => dropout(x, rate, context);
    const first = drop(maxPool2d(relu(parts.conv1(images)), 2)); // [batch, 32, h/2, w/2]
    const second = drop(relu(parts.conv2(first))); // [batch, 64, h/2, w/2]
    const third = drop(maxPool2d(relu(parts.conv3(second)), 2)); // [batch, 128, h/4, w/4]
    const read = parts.dense(reshape(third, [images.shape[0]!, flat]));
    return parts.norm === undefined ? relu(read) : parts.norm(read);
  });
}

/** A label embedding with a number for each of the image's goes through convolutions of its own. */
function pixelPath(options: ImagePathOptions, isTimed: boolean): NoPropPaths["label"] {
  const { imageSize, channels } = options;
  const path = imagePath(options, isTimed);
  return defineModule(path.parts, (z: Tensor, context: Context) =>
    path(reshape(z, [z.shape[0]!, channels, imageSize, imageSize]), context),
  );
}

function vectorPath(width: number): NoPropPaths["label"] {
  const parts = {
    first: dense(width, features, true),
    second: dense(features, features, true),
    third: dense(features, features, true, false),
  };
  return defineModule(parts, (z: Tensor) => {
    const r = parts.first(z);
    return add(r, parts.third(parts.second(r)));
  });
}

/** The time enters as 1000 t, in 64 sines and cosines. */
function timePath(): TimedNoPropPaths["time"] {
  const embed = dense(64, features);
  return defineModule({ embed }, (t: Tensor) => embed(sinusoid(mul(t, 1000), 64)));
}

function jointPath(numPaths: number, isTimed: boolean): NoPropPaths["joint"] {
  const parts = { first: dense(numPaths * features, 256, !isTimed), second: dense(256, 128, !isTimed) };
  return defineModule(parts, (paths: readonly Tensor[]) => parts.second(parts.first(concat(paths, 1))));
}

/** Linear, layer norm if asked for, ReLU by default. */
function dense(inputs: number, outputs: number, isNormed = false, isRectified = true): Module<(x: Tensor) => Tensor> {
  const parts = { linear: linear(inputs, outputs, { init }), norm: isNormed ? layerNorm(outputs, epsilon) : undefined };
  return defineModule(parts, (x: Tensor) => {
    const y = parts.norm === undefined ? parts.linear(x) : parts.norm(parts.linear(x));
    return isRectified ? relu(y) : y;
  });
}

export interface NoPropArchitectureOptions extends NoPropCnnOptions {
  /** Width of a class embedding. */
  readonly embeddingWidth: number;
  /** The number of blocks. */
  readonly numLayers: number;
}

/**
 * The same network for DiffusionBlocks: the stem is the image path and the label path; each block has one layer, the
 * joint path, whose input the noise modulates; the classifier is the head. Its layers are no residual units and do
 * not follow each other: there are as many as blocks.
 */
export function noPropCnn({ numLayers, embeddingWidth, ...options }: NoPropArchitectureOptions): ClassifierArchitecture {
  const network = noPropNetwork(options);
  return {
    name: network.name,
    numLayers,
    width: embeddingWidth,
    numClasses: options.numClasses,
    epsilon,
    inputType: network.inputType,
    build: (conditioning: Conditioning): ClassifierNetwork => {
      const { image, label, classifier } = network.discrete(embeddingWidth);
      return {
        stem: defineModule({ image, label }, (images: Tensor, z: Tensor | undefined, context: Context) => {
          if (z === undefined) throw new Error("internal: the network of NoProp reads a noisy label");
          return concat([image(images, context), label(z, context)], 1); // [batch, 512]
        }),
        layers: Array.from({ length: numLayers }, (): Layer => {
          const parts = { modulation: conditioning.modulation(2 * features), joint: jointPath(2, false) };
          return defineModule(parts, (h: Tensor, context: Context) => parts.joint([parts.modulation(h, context)]));
        }),
        head: defineModule({ classifier }, (h: Tensor) => classifier(h)),
      };
    },
  };
}

export const noPropCnnModel: ModelDefinition<z.output<typeof noPropCnnOptions>, NoPropModel, ImageData> = defineModel({
  name: "noprop-cnn",
  summary: "NoProp's convolutional network that classifies an image beside a noisy label",
  kind: noPropKind,
  task: classes,
  schema: noPropCnnOptions,
  compared: ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "blocks", "shallow-twin"],
  defaults: { training: { learningRate: 1e-3, weightDecay: 1e-3 }, data: { augmentation: "none" } },
  build: (options, images) => noPropModel({ ...options, ...images }),
});
