import type { Partition } from "../diffusion/index.ts";
import { exportedImages, type ImageGenerator, type LevelName } from "../inference/index.ts";
import {
  adaLNZero,
  bernoulliSampler,
  type Context,
  type ImageArchitecture,
  type ImageNetwork,
  type LayerMemory,
  noiseEmbedding,
  plainContext,
  standardNormal,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key } from "../random.ts";
import { add, constant, mean, mul, random, reduceMean, reshape, square, sub, type Tensor, where } from "../tensor/index.ts";
import { int32, predictionProgram, type TracedBatch, type TrainingMethod } from "../train/index.ts";
import { type Block, type CutOptions, cut } from "./cut.ts";
import { type BatchLevels, drawnLevels, levelInputs } from "./levels.ts";
import { type LossWeighting, meanOf, weightedMean } from "./objective.ts";
import type { OwnedLayers } from "./sharing.ts";

export interface ImageDenoiserOptions extends CutOptions {
  readonly partition: Partition;
  readonly lossWeighting?: LossWeighting;
  /**
   * Share of the training images whose class is hidden, so that the network also learns to do without: for
   * classifier-free guidance (Ho & Salimans 2022).
   */
  readonly labelDropout?: number;
  /** Gate of the residual branches at initialisation: 0 makes each layer the identity (DiT), 1 the plain layer. */
  readonly initialGate?: 0 | 1;
  /** Blocks that are trained on the same range answer together, by the mean of their estimates. */
  readonly together?: boolean;
}

/** Some of a network's layers as a denoiser of images, D(z, σ; label). */
export interface ImageBlock extends OwnedLayers {
  /** z and D are [batch, channels, size, size]; labels int32 [batch], unused where there are no classes. */
  denoise(z: Tensor, labels: Tensor, levels: BatchLevels, context: Context, memory?: LayerMemory): Tensor;
}

/** A diffusion network in blocks. With one block of all levels it is the diffusion model that is trained end to end. */
export interface ImageDenoiser extends TrainingMethod, ImageGenerator {
  readonly partition: Partition;
  readonly architecture: ImageArchitecture;
  readonly blocks: readonly ImageBlock[];
}

/**
 * Cuts a diffusion network into blocks that learn alone: block b denoises y + σε for σ in its own range, D = cSkip z
 * + cOut F(cIn z; cNoise, label), with the loss E[w(σ) mean (D − y)²] over pixels. With B = 1 and no overlap this is
 * EDM training (Karras et al. 2022) of the whole network.
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 5.2.
 */
export function convertImages(architecture: ImageArchitecture, options: ImageDenoiserOptions): ImageDenoiser {
  const { partition, layersPerBlock, shared, lossWeighting = "edm", labelDropout = 0.1, initialGate = 0, together = false } = options;
  const { numLayers, numClasses, condWidth, epsilon } = architecture;
  const { units, order, ...own } = cut({
    numLayers,
    numBlocks: partition.ranges.length,
    layersPerBlock,
    shared,
    together,
    build: () => {
      const { stem, layers, head, labels } = architecture.build(adaLNZero({ condWidth, epsilon, initialGate }));
      return { stem: { stem, noise: noiseEmbedding(condWidth, { activated: false }), labels }, layers, head: { head } };
    },
  });
  const blocks = own.blocks.map(imageBlock);
  const estimates = blocks.map((alone, b) =>
    predictionProgram<"z" | "labels" | LevelName, "denoised">(
      units[b]!.name,
      (batchSize) => ({ z: architecture.inputType(batchSize), labels: int32(batchSize), ...levelInputs(batchSize) }),
      ({ z, labels, ...levels }) => ({
        denoised: meanOf((together ? blocks : [alone]).map((block) => block.denoise(z, labels, levels, plainContext))),
      }),
    ),
  );
  const model: ImageGenerator = {
    numClasses,
    imageShape: architecture.inputType(1).shape.slice(1) as [number, number, number],
    partition,
    estimates,
  };
  return {
    ...model,
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    partition,
    blocks,
    layersPerBlock: own.layersPerBlock,
    units,
    order,
    objective: (unit, batch, key, memory) => {
      const b = units.indexOf(unit);
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batch.labels.shape[0]!);
      const epsilon = random(fold(key, "noise"), standardNormal, batch.input.shape);
      const labels = numClasses === 0 ? batch.labels : hidden(batch.labels, labelDropout, numClasses, fold(key, "hidden labels"));
      const losses = imageLosses(blocks[b]!, { ...batch, labels }, { levels, epsilon }, trainingContext(fold(key, "dropout")), memory);
      return {
        loss: weightedMean(losses, reshape(levels.lossWeight, losses.shape), lossWeighting),
        metrics: { squaredError: mean(losses) },
      };
    },
    programs: estimates,
    exported: (chosen) => exportedImages(model, chosen),
  };
}

interface ImageNoise {
  readonly levels: BatchLevels;
  /** ε of the images' shape. */
  readonly epsilon: Tensor;
}

/** mean over pixels of (D(y + σε) − y)², [batch]. */
function imageLosses(
  block: ImageBlock,
  { input: y, labels }: TracedBatch,
  { levels, epsilon }: ImageNoise,
  context: Context,
  memory?: LayerMemory,
): Tensor {
  const z = add(y, mul(overPixels(levels.sigma), epsilon));
  return reduceMean(square(sub(block.denoise(z, labels, levels, context, memory), y)), [1, 2, 3]);
}

/** Labels of which a share is the null label. */
function hidden(labels: Tensor, rate: number, numClasses: number, key: Key): Tensor {
  if (rate === 0) return labels;
  return where(random(key, bernoulliSampler(rate), labels.shape, "bool"), constant([numClasses], [], "int32"), labels);
}

/** The parts of a diffusion network's stem and head that blocks share by their policy. */
type ImageStem = Pick<ImageNetwork, "stem" | "labels"> & { readonly noise: ReturnType<typeof noiseEmbedding> };
type ImageHead = Pick<ImageNetwork, "head">;

function imageBlock({
  stem: { stem, noise, labels: embedLabels },
  layers,
  head: { head },
  numLayers,
  parameters,
}: Block<ImageStem, ImageHead>): ImageBlock {
  return {
    numLayers,
    parameters,
    denoise: (z, labels, levels, base, memory?: LayerMemory) => {
      const level = noise(reshape(levels.cNoise, [z.shape[0]!]));
      const context = { ...base, condition: embedLabels === undefined ? level : add(level, embedLabels(labels)) };
      const embedded = stem(mul(overPixels(levels.cIn), z), context);
      const state = throughLayers(layers, embedded, context, memory);
      return add(mul(overPixels(levels.cSkip), z), mul(overPixels(levels.cOut), head(state, context)));
    },
  };
}

/** [batch, 1] -> [batch, 1, 1, 1] */
function overPixels(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, 1, 1]);
}
