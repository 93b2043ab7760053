import { blockOfSigma, type Partition } from "../diffusion/index.ts";
import {
  adaLNZero,
  type Context,
  type DenoisingImageNetwork,
  type ImageArchitecture,
  layerParameters,
  namedParameters,
  noiseEmbedding,
  plainContext,
  standardNormal,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { bernoulli, fold, type Key } from "../random.ts";
import { add, constant, input, mean, mul, random, reduceMean, reshape, square, sub, type Tensor, where } from "../tensor/index.ts";
import { assignLayers, type TracedBatch, type TrainingMethod } from "../train/index.ts";
import type { BlockParameters } from "./block.ts";
import { drawnLevels, fedLevels, levelFeeds, type NoiseLevels } from "./levels.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import { blockUnit, perBlock, type SharedPolicy, sharingOf } from "./sharing.ts";

export interface ImageDenoiserOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[] | undefined;
  readonly shared?: SharedPolicy;
  readonly lossWeighting?: LossWeighting;
  /** How often a label is hidden in training, so that the network also learns to do without: for classifier-free guidance (Ho & Salimans 2022). */
  readonly labelDropout?: number;
  /** What a branch is multiplied with at the start: 0 makes each layer the identity (DiT), 1 the plain layer. */
  readonly initialGate?: 0 | 1;
}

/** Some of a network's layers as a denoiser of images, D(z, σ; label). */
export interface ImageBlock {
  readonly parameters: BlockParameters;
  readonly numLayers: number;
  /** z and D are [batch, channels, size, size]; labels int32 [batch], undefined where there are no classes. */
  denoise(z: Tensor, labels: Tensor | undefined, levels: NoiseLevels, context: Context, checkpointing?: boolean): Tensor;
}

/** Blocks that denoise images: each program `block-b` maps z, labels and levels to `denoised`. With one block it is the diffusion model that is trained end to end. */
export interface ImageDenoiser extends TrainingMethod {
  readonly architecture: ImageArchitecture;
  readonly partition: Partition;
  readonly blocks: readonly ImageBlock[];
}

/**
 * Cuts a diffusion network into blocks that learn alone (DiffusionBlocks, Section 5.2): block b denoises y + σε for σ in its own range, D = cSkip z + cOut F(cIn z; cNoise, label), with the loss
 * E[w(σ) mean (D − y)²] over pixels. With B = 1 and no overlap this is EDM training (Karras et al. 2022) of the whole network.
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 */
export function convertImages(architecture: ImageArchitecture, options: ImageDenoiserOptions): ImageDenoiser {
  const { partition, shared = "owned", lossWeighting = "edm", labelDropout = 0.1 } = options;
  const { numClasses } = architecture;
  const ranges = assignLayers(architecture.numLayers, partition.ranges.length, options.layersPerBlock);
  const networks = perBlock(partition.ranges.length, shared, () => conditioned(architecture, options.initialGate ?? 0), withStemOf);
  const blocks = ranges.map((range, b) => createImageBlock(networks[b]!, range));
  const units = blocks.map((block, b) => blockUnit(b, block, shared));
  return {
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    partition,
    blocks,
    layersPerBlock: ranges.map(([first, end]) => end - first),
    units,
    ...sharingOf(shared, units),
    objective: (unit, batch, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const batchSize = batch.labels.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batchSize);
      const epsilon = random(fold(key, "noise"), standardNormal, batch.input.shape);
      const labels = numClasses === 0 ? undefined : hidden(batch.labels, labelDropout, numClasses, fold(key, "hidden labels"));
      const losses = imageLosses(blocks[b]!, batch, { levels, epsilon, labels }, trainingContext(fold(key, "dropout")), checkpointing);
      return {
        loss: weightedMean(losses, reshape(levels.lossWeight, losses.shape), lossWeighting),
        metrics: { squaredError: mean(losses) },
      };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const of = (block: ImageBlock): Tensor => {
        const labels = numClasses === 0 ? undefined : input("labels", [batchSize], "int32");
        return block.denoise(input("z", shape, dtype), labels, fedLevels(batchSize), plainContext);
      };
      return Object.fromEntries(blocks.map((block, b) => [`block-${b}`, { denoised: of(block) }]));
    },
  };
}

interface ImageNoise {
  readonly levels: NoiseLevels;
  readonly epsilon: Tensor;
  readonly labels: Tensor | undefined;
}

/** mean over pixels of (D(y + σε) − y)², [batch]. */
export function imageLosses(
  block: ImageBlock,
  { input: y }: Pick<TracedBatch, "input">,
  { levels, epsilon, labels }: ImageNoise,
  context: Context,
  checkpointing = false,
): Tensor {
  const z = add(y, mul(overPixels(levels.sigma), epsilon));
  return pixelMean(square(sub(block.denoise(z, labels, levels, context, checkpointing), y)));
}

/** Labels of which some say nothing. */
function hidden(labels: Tensor, rate: number, numClasses: number, key: Key): Tensor {
  if (rate === 0) return labels;
  const sampler = { name: `bernoulli(${rate})`, fill: (out: unknown, stepKey: Key) => bernoulli(stepKey, out as Uint8Array, rate) };
  return where(random(key, sampler, labels.shape, "bool"), constant([numClasses], [], "int32"), labels);
}

interface ConditionedImages {
  readonly network: DenoisingImageNetwork;
  readonly noise: ReturnType<typeof noiseEmbedding>;
}

function conditioned(architecture: ImageArchitecture, initialGate: 0 | 1): ConditionedImages {
  const { condWidth, epsilon } = architecture;
  return {
    network: architecture.build(adaLNZero({ condWidth, epsilon, initialGate })),
    noise: noiseEmbedding(condWidth, { activated: false }),
  };
}

function withStemOf(common: ConditionedImages, own: ConditionedImages): ConditionedImages {
  return { network: { ...own.network, stem: common.network.stem, labels: common.network.labels }, noise: common.noise };
}

function createImageBlock({ network, noise }: ConditionedImages, [first, end]: readonly [number, number]): ImageBlock {
  const layers = network.layers.slice(first, end);
  return {
    parameters: {
      stem: namedParameters({ parts: { stem: network.stem, noise, labels: network.labels } }),
      layers: layerParameters(layers, first),
      head: namedParameters({ parts: { head: network.head } }),
    },
    numLayers: end - first,
    denoise: (z, labels, levels, base, checkpointing = false) => {
      const level = noise(reshape(levels.cNoise, [z.shape[0]!]));
      const context = { ...base, condition: labels && network.labels ? add(level, network.labels(labels)) : level };
      const embedded = network.stem(mul(overPixels(levels.cIn), z), context);
      const state = throughLayers(layers, embedded, context, checkpointing);
      return add(mul(overPixels(levels.cSkip), z), mul(overPixels(levels.cOut), network.head(state, context)));
    },
  };
}

/** [batch, 1] -> [batch, 1, 1, 1] */
function overPixels(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, 1, 1]);
}

/** [batch, channels, height, width] -> [batch] */
function pixelMean(x: Tensor): Tensor {
  return reduceMean(x, [1, 2, 3]);
}

/** The block that answers at a noise level; churn may lead a little above the largest. */
export function answering({ partition }: Pick<ImageDenoiser, "partition">, sigma: number): number {
  const { sigmaMin, sigmaMax } = partition.noise;
  return blockOfSigma(partition, Math.min(sigmaMax, Math.max(sigmaMin, sigma)));
}

/** The program to run for a batch at one noise level, and its feeds. */
export function denoisingFeeds(
  denoiser: Pick<ImageDenoiser, "partition">,
  z: Float32Array,
  sigma: number,
  labels: Int32Array,
): { readonly program: string; readonly feeds: Readonly<Record<string, Float32Array | Int32Array>> } {
  const levels = levelFeeds(new Float32Array(labels.length).fill(sigma), denoiser.partition.noise.sigmaData);
  return { program: `block-${answering(denoiser, sigma)}`, feeds: { z, labels, ...levels } };
}
