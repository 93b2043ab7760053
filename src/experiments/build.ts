import {
  contrastiveForwardForward,
  endToEnd,
  forwardForward,
  greedy,
  nextToken,
  recurrent,
  shallowLanguageTwin,
  shallowTwin,
  twinEnsemble,
} from "../baselines/index.ts";
import {
  convert,
  convertImages,
  convertLanguage,
  convertMasked,
  convertRecurrent,
  type ImageDenoiser,
  type MaskedText,
  type Sampling,
} from "../blocks/index.ts";
import { type ImageBatch, type ImageDataset, type Normalisation, prefetchBatches, text8Tokenizer, trainBatches } from "../data/index.ts";
import { logNormalNoise, maskingPartition, type Partition, partition, partitionFromBoundaries } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { autoregressive, dit, maskedDiffusion, mlpClassifier, noPropCnn, recurrentDepth, vit } from "../models/index.ts";
import type { Architecture, LanguageArchitecture } from "../nn/index.ts";
import { adamW, type Optimizer, type Schedule, schedule, sgd } from "../optim/index.ts";
import type { Device } from "../runtime/index.ts";
import type { Batch, BatchSource, Classifier, LanguageModel } from "../train/index.ts";
import { type DataShape, notSquare, unfit } from "./dataShape.ts";
import { buildNoProp, embeddingWidthOf } from "./noProp.ts";
import { type RunConfig, textModels } from "./runConfig.ts";

/** The network of a run with this many layers. @throws {UsageError} if the images are not square or the sizes do not fit. */
export function buildArchitecture(
  { model, network, blocks, noProp }: RunConfig,
  data: DataShape,
  numLayers: number = network.numLayers,
): Architecture {
  const { numClasses } = data;
  const { channels, height, width } = data.train;
  if (height !== width) throw notSquare(model, data);
  if (model === "mlp") return mlpClassifier({ imageSize: height, channels, numClasses, width: network.width, numLayers });
  if (model === "noprop-cnn") {
    const embeddingWidth = embeddingWidthOf(noProp, data);
    return noPropCnn({ imageSize: height, channels, numClasses, dropout: network.dropout, embeddingWidth, numLayers: blocks.numBlocks });
  }
  const { mlpWidth, ...sizes } = network;
  return vit({ ...sizes, ...(mlpWidth !== undefined && { mlpWidth }), numLayers, imageSize: height, channels, numClasses });
}

export function buildPartition({ blocks }: RunConfig): Partition {
  const { numBlocks, strategy, boundaries, overlap, pMean, pStd, sigmaMin, sigmaMax, sigmaData } = blocks;
  const noise = logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax, sigmaData });
  if (boundaries === undefined) return partition({ numBlocks, strategy, overlap, noise });
  if (boundaries.length === numBlocks + 1) return partitionFromBoundaries({ boundaries, overlap, noise });
  const message = `boundaries: ${numBlocks} blocks have ${numBlocks + 1} of them, sigmaMax and sigmaMin included; given are ${boundaries.length}.`;
  throw new UsageError("boundaryCount", { numBlocks, boundaries }, message);
}

/** The training method of a run. @throws {UsageError} if this model cannot be trained in this way, or the sizes do not fit. */
export function buildMethod(config: RunConfig, data: DataShape): Classifier | ImageDenoiser | MaskedText | LanguageModel {
  const { model } = config;
  if (textModels.includes(model)) return buildText(config, data.vocabSize ?? text8Tokenizer.vocabSize);
  return model === "dit" ? buildImages(config, data) : buildClassifier(config, data);
}

/** A model of text. */
export function buildText(config: RunConfig, vocabSize: number): MaskedText | LanguageModel {
  if (config.model === "recurrent-depth") return buildRecurrent(config, vocabSize);
  return config.model === "autoregressive" ? buildLanguage(config, vocabSize) : buildMasked(config, vocabSize);
}

/** A language model of recurrent depth: end to end by truncated backpropagation, or its core as a denoiser at all levels. */
function buildRecurrent(config: RunConfig, vocabSize: number): LanguageModel {
  const { model, method, network, blocks, text } = config;
  const { width, numLayers, numHeads, mlpWidth, dropout, epsilon } = network;
  const { preludeLayers, codaLayers, mean, backpropDepth } = text.recurrence;
  const parts = { preludeLayers, coreLayers: numLayers, codaLayers, meanRecurrence: mean };
  const sizes = { width, numHeads, dropout, epsilon, ...(mlpWidth && { mlpWidth }) };
  const architecture = recurrentDepth({ ...sizes, ...parts, vocabSize, length: text.length });
  if (method === "end-to-end") return recurrent(architecture, { meanRecurrence: mean, backpropDepth });
  if (method !== "blocks") throw unfit(model, method, "it is one network that is run again and again", "blocks or end-to-end");
  if (blocks.numBlocks !== 1)
    throw new UsageError(
      "oneCore",
      { numBlocks: blocks.numBlocks },
      `${model}: its one core denoises at all levels, so there is 1 block; leave --blocks out.`,
    );
  const { targetEmbedding, targetScale, lossWeighting, labelLikelihood, initialGate } = blocks;
  const sampling = walkSampling(config);
  const options = { targetEmbedding, targetScale, lossWeighting, labelLikelihood, initialGate, sampling };
  return convertRecurrent(architecture, { ...options, partition: buildPartition(config) });
}

/** A language model that writes token by token. The shallow twin has the layers of one block. */
function buildLanguage(config: RunConfig, vocabSize: number): LanguageModel {
  const { model, method, network, blocks, text } = config;
  const { width, numLayers, numHeads, numKeyHeads, mlpWidth, dropout, epsilon } = network;
  const build = (layers: number): LanguageArchitecture => {
    const sizes = { width, numHeads, dropout, epsilon, ...(mlpWidth && { mlpWidth }), ...(numKeyHeads && { numKeyHeads }) };
    return autoregressive({ ...sizes, numLayers: layers, vocabSize, length: text.length });
  };
  if (method === "end-to-end") return nextToken(build(numLayers));
  if (method === "shallow-twin") return shallowLanguageTwin(build, Math.max(1, Math.floor(numLayers / blocks.numBlocks)));
  if (method !== "blocks") throw unfit(model, method, "it answers with text and not with classes", "blocks, end-to-end or shallow-twin");
  const { layersPerBlock, shared, targetEmbedding, targetScale, lossWeighting, labelLikelihood, initialGate, sampling } = blocks;
  const { reading, query, groupSize, nextTokenWeight, nextTokenPlace, handedOver } = text;
  const options = {
    shared,
    targetEmbedding,
    targetScale,
    lossWeighting,
    labelLikelihood,
    initialGate,
    reading,
    query,
    groupSize,
    nextTokenWeight,
    nextTokenPlace,
    handedOver,
    sampling,
  };
  return convertLanguage(build(numLayers), { ...options, partition: buildPartition(config), ...(layersPerBlock && { layersPerBlock }) });
}

/** A masked diffusion model. End to end is one block that has all times. */
function buildMasked({ model, method, network, blocks, text }: RunConfig, vocabSize: number): MaskedText {
  const { width, numLayers, numHeads, mlpWidth, dropout } = network;
  const sizes = { width, numLayers, numHeads, dropout, ...(mlpWidth !== undefined && { mlpWidth }) };
  const architecture = maskedDiffusion({ ...sizes, vocabSize, length: text.length });
  const { numBlocks, overlap, layersPerBlock, shared, initialGate } = blocks;
  if (method === "end-to-end")
    return convertMasked(architecture, { initialGate, partition: maskingPartition({ numBlocks: 1, schedule: text.masking, overlap: 0 }) });
  if (method !== "blocks") throw unfit(model, method, "it answers with text and not with classes", "blocks or end-to-end");
  const partition = maskingPartition({ numBlocks, schedule: text.masking, overlap });
  return convertMasked(architecture, { partition, shared, initialGate, reading: text.reading, ...(layersPerBlock && { layersPerBlock }) });
}

/** The same for models that answer with a class. */
export function buildClassifier(config: RunConfig, data: DataShape): Classifier {
  return config.model === "noprop-cnn" && config.method !== "blocks" ? buildNoProp(config, data) : buildLayered(config, data);
}

/** A diffusion transformer. End to end is one block that has the whole range. */
export function buildImages(config: RunConfig, data: DataShape): ImageDenoiser {
  const { model, method, network, blocks, images } = config;
  const {
    numClasses,
    train: { channels, height, width },
  } = data;
  if (height !== width) throw notSquare(model, data);
  const { patchSize, numLayers, numHeads, mlpWidth } = network;
  const sizes = { patchSize, width: network.width, numLayers, numHeads, ...(mlpWidth !== undefined && { mlpWidth }) };
  const architecture = dit({ ...sizes, imageSize: height, channels, numClasses: images.conditional ? numClasses : 0 });
  const { layersPerBlock, shared, lossWeighting, initialGate } = blocks;
  const options = { shared, lossWeighting, initialGate, labelDropout: images.labelDropout };
  if (method === "end-to-end") {
    const whole = { ...config, blocks: { ...blocks, numBlocks: 1, boundaries: undefined, overlap: 0 } };
    return convertImages(architecture, { ...options, partition: buildPartition(whole) });
  }
  if (method !== "blocks") throw unfit(model, method, "it makes images and knows no classes to answer with", "blocks or end-to-end");
  return convertImages(architecture, { ...options, partition: buildPartition(config), ...(layersPerBlock && { layersPerBlock }) });
}

/** Networks of layers that follow each other. The shallow twin has the layers of one block, and with them its training memory. */
function buildLayered(config: RunConfig, data: DataShape): Classifier {
  const { model, method, blocks, network } = config;
  if (method === "end-to-end") return endToEnd(buildArchitecture(config, data));
  if (method === "forward-forward")
    return forwardForward(buildArchitecture(config, data), { writing: model === "mlp" ? "pixels" : "pattern" });
  if (method === "contrastive-ff") return contrastiveForwardForward(buildArchitecture(config, data));
  if (method === "greedy") {
    return greedy(buildArchitecture(config, data), { numGroups: blocks.numBlocks, layersPerGroup: blocks.layersPerBlock });
  }
  if (method === "shallow-twin" || method === "twin-ensemble") {
    const numLayers = Math.max(1, Math.floor(network.numLayers / blocks.numBlocks));
    const build = (layers: number): Architecture => buildArchitecture(config, data, layers);
    return method === "shallow-twin" ? shallowTwin(build, numLayers) : twinEnsemble(build, numLayers, blocks.numBlocks);
  }
  if (method !== "blocks") throw unfit(model, method, "it is for noprop-cnn", "blocks, end-to-end, greedy or forward-forward");
  if (model === "mlp")
    throw unfit(model, method, "a perceptron has no place for noise conditioning", "end-to-end, greedy or forward-forward");
  const { layersPerBlock, condWidth, shared, targetEmbedding, targetScale, lossWeighting, headInput, labelLikelihood, initialGate } =
    blocks;
  return convert(buildArchitecture(config, data), {
    partition: buildPartition(config),
    ...(layersPerBlock && { layersPerBlock }),
    ...(condWidth && { condWidth }),
    shared,
    targetEmbedding,
    targetScale,
    lossWeighting,
    headInput,
    labelLikelihood,
    initialGate,
    sampling: walkSampling(config),
  });
}

/** How a walk predicts, where there are no readings that could answer. */
function walkSampling({ model, blocks: { sampling } }: RunConfig): Partial<Sampling> {
  const { numSteps, grid, bridge, readout } = sampling;
  if (readout !== "reading") return { numSteps, grid, bridge, readout };
  throw new UsageError(
    "noReading",
    { model },
    `${model}: only blocks of an autoregressive model read; choose the readout last or evidence.`,
  );
}

export function buildOptimizer({ training: { optimizer, weightDecay } }: RunConfig): Optimizer {
  return optimizer === "adamW" ? adamW({ weightDecay }) : sgd({ weightDecay });
}

/** Updates of each unit, and their learning rates. Every unit makes as many as end-to-end training would: equal layer evaluations. */
export function buildSchedule({ training }: RunConfig, stepsPerEpoch: number): { readonly steps: number; readonly learningRate: Schedule } {
  const { epochs, accumulate, schedule: kind, learningRate, warmup, floor } = training;
  const steps = Math.max(1, Math.floor((epochs * stepsPerEpoch) / accumulate));
  return { steps, learningRate: schedule({ kind, learningRate, warmupSteps: Math.round(warmup * steps), totalSteps: steps, floor }) };
}

/** Batches made where they are used, in memory that is taken once: a batch is valid until as many others as one update takes were asked for. */
export function buildBatches(config: RunConfig, data: ImageDataset): BatchSource {
  const { accumulate } = config.training;
  const batches = trainBatches(data.train, batchOptions(config, data));
  const kept: ImageBatch[] = [];
  return {
    stepsPerEpoch: batches.stepsPerEpoch,
    at: (index) => {
      const place = index % accumulate;
      kept[place] = batches.at(index, kept[place]);
      return stepBatch(kept[place]);
    },
  };
}

/**
 * The batches of a run as its device wants them. While a GPU computes, a thread of its own makes the next batch; on the CPU that thread would take
 * from the step what it gives to the batch (1 to 5 ms for 128 images of 32×32).
 */
export function openBatches(config: RunConfig, data: ImageDataset, device: Device): BatchSource & AsyncDisposable {
  if (device.name !== "webgpu") return { ...buildBatches(config, data), [Symbol.asyncDispose]: async () => {} };
  const batches = prefetchBatches(data.train, batchOptions(config, data));
  return {
    stepsPerEpoch: batches.stepsPerEpoch,
    at: async (index) => stepBatch(await batches.at(index)),
    [Symbol.asyncDispose]: () => batches[Symbol.asyncDispose](),
  };
}

function batchOptions({ model, training: { batchSize, seed }, data: { augmentation } }: RunConfig, data: ImageDataset) {
  return { batchSize, seed, augmentation, ...normalisationOf(model, data) };
}

/** How pixels become numbers: for classes with the data's mean and deviation, for images to be made as [−1, 1], and latent ones to have EDM's deviation of 1/2. */
export function normalisationOf(
  model: RunConfig["model"],
  { mean, std, isLatent = false }: Pick<ImageDataset, "mean" | "std" | "isLatent">,
): Normalisation {
  if (model === "dit" && isLatent) return { mean, std: std.map((deviation) => 2 * deviation) };
  return model === "dit" ? { mean: mean.map(() => 0.5), std: std.map(() => 0.5) } : { mean, std };
}

function stepBatch({ images, labels }: ImageBatch): Batch {
  return { input: images, labels };
}
