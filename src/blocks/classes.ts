import { entryLevel, type Partition } from "../diffusion/index.ts";
import type { ClassDenoiser, LevelName } from "../inference/answers.ts";
import { type ClassSampling, classifyByDenoising, defaultClassSampling } from "../inference/classes.ts";
import { exportedClasses } from "../inference/exportedClasses.ts";
import {
  adaLN,
  type ClassifierArchitecture,
  type ClassifierNetwork,
  type Context,
  type LayerMemory,
  noiseEmbedding,
  plainContext,
  standardNormal,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { add, crossEntropy, gather, mean, mul, random, reshape, type Tensor } from "../tensor/index.ts";
import { type Classifier, classAccuracy, float32, predictionProgram, type TracedBatch } from "../train/index.ts";
import { type Block, type CutOptions, cut } from "./cut.ts";
import { type LabelLikelihood, type Scores, scoresOf } from "./labelLikelihood.ts";
import { type BatchLevels, drawnLevels, levelInputs } from "./levels.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import type { OwnedLayers } from "./sharing.ts";
import { createTargets, type TargetEmbedding, type Targets, targetTable } from "./targets.ts";

/** The input of the head: the features mixed with the noisy target, cOut F + cSkip z (the official code), or the features alone. */
export type HeadInput = "mixed" | "features";

export interface BlocksOptions extends CutOptions {
  readonly partition: Partition;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a class embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly headInput?: HeadInput;
  readonly labelLikelihood?: LabelLikelihood;
  /** Width of the noise conditioning; a sixth of the network's by default. */
  readonly condWidth?: number | undefined;
  /** Gate of the residual branches at initialisation: 0 makes each layer the identity (DiT, the official code), 1 the plain layer. */
  readonly initialGate?: 0 | 1;
  readonly sampling?: Partial<ClassSampling>;
}

/** Some of a network's layers as a denoiser of the class embedding, D(z, σ; x). */
export interface ClassBlock extends OwnedLayers {
  /** Class scores [batch, classes] from the input x and noisy embeddings z [batch, width]. */
  denoise(input: Tensor, z: Tensor, levels: BatchLevels, context: Context, memory?: LayerMemory): Scores;
}

/** z = y + σε: drawn in training, given where a result is to be compared with another implementation's. */
export interface TargetNoise {
  readonly levels: BatchLevels;
  /** ε, [batch, width] */
  readonly epsilon: Tensor;
}

/** The objective of a block, and the terms that it is made of. */
export interface DenoisingLoss {
  /** [] */
  readonly loss: Tensor;
  /** [batch] */
  readonly crossEntropy: Tensor;
  /** [batch, classes] */
  readonly logits: Tensor;
}

/** A classifier in blocks: a training method with one unit for each. */
export interface DiffusionBlocks extends Classifier, ClassDenoiser {
  readonly partition: Partition;
  readonly architecture: ClassifierArchitecture;
  readonly blocks: readonly ClassBlock[];
  readonly targets: Targets;
  readonly sampling: ClassSampling;
  /**
   * A block's objective at given noise: L_b = E[w(σ) · CE(D(y + σε, σ; x), label)] of one batch.
   *
   * @see DiffusionBlocks (arXiv 2506.14202), Equation 6; Section B for the cross-entropy in the place of the squared error.
   */
  denoisingLoss(block: number, batch: TracedBatch, noise: TargetNoise, context: Context, memory?: LayerMemory): DenoisingLoss;
}

/**
 * Cuts a classifier into blocks that learn alone: layers in order, block 0 with the first layers and the highest
 * noise; each block denoises y + σε, y being the embedding of the class, for σ in its own range, with noise
 * conditioning by adaLN.
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 3.
 */
export function convert(architecture: ClassifierArchitecture, options: BlocksOptions): DiffusionBlocks {
  const { partition, layersPerBlock, shared, targetEmbedding = "orthonormal", targetScale = 1, initialGate = 1 } = options;
  const { lossWeighting = "none", headInput = "features", labelLikelihood = "exact" } = options;
  const { numLayers, numClasses, width, epsilon } = architecture;
  const condWidth = options.condWidth ?? Math.max(1, Math.floor(width / 6));
  const targets = createTargets(targetEmbedding, numClasses, width, targetScale);
  const { units, order, ...own } = cut({
    numLayers,
    numBlocks: partition.ranges.length,
    layersPerBlock,
    shared,
    targets,
    build: () => {
      const { stem, layers, head } = architecture.build(adaLN({ condWidth, initialGate, targetWidth: width, epsilon }));
      return { stem: { stem, noise: noiseEmbedding(condWidth) }, layers, head: { head } };
    },
  });
  const blocks = own.blocks.map((block) => classBlock(block, { targets, headInput, labelLikelihood }));
  const sampling: ClassSampling = { ...defaultClassSampling, ...options.sampling };

  const denoisingLoss: DiffusionBlocks["denoisingLoss"] = (b, { input, labels }, { levels, epsilon: noise }, context, memory) => {
    const y = gather(targets.table, labels); // [batch, width]
    const z = add(y, mul(levels.sigma, noise));
    const { logits } = blocks[b]!.denoise(input, z, levels, context, memory);
    const losses = crossEntropy(logits, labels); // [batch]
    return { loss: weightedMean(losses, reshape(levels.lossWeight, losses.shape), lossWeighting), crossEntropy: losses, logits };
  };

  const table = targetTable(targets);
  const estimates = blocks.map((block, b) =>
    predictionProgram<"input" | "z" | LevelName, "evidence" | "logits">(
      units[b]!.name,
      (batchSize) => ({ input: architecture.inputType(batchSize), z: float32(batchSize, width), ...levelInputs(batchSize) }),
      ({ input, z, ...levels }) => ({ ...block.denoise(input, z, levels, plainContext) }),
    ),
  );
  const model: ClassDenoiser = { numClasses, width, partition, table, estimates };

  return {
    ...model,
    name: "blocks",
    isRandom: true,
    inputType: architecture.inputType,
    architecture,
    blocks,
    targets,
    sampling,
    layersPerBlock: own.layersPerBlock,
    units,
    order,
    objective: (unit, batch, key, memory) => {
      const b = units.indexOf(unit);
      const batchSize = batch.labels.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batchSize);
      const noise = { levels, epsilon: random(fold(key, "noise"), standardNormal, [batchSize, width]) };
      const { loss, crossEntropy: losses, logits } = denoisingLoss(b, batch, noise, trainingContext(fold(key, "dropout")), memory);
      return { loss, metrics: { crossEntropy: mean(losses), accuracy: classAccuracy(logits, batch.labels) } };
    },
    denoisingLoss,
    programs: [table, ...estimates],
    exported: (chosen) => exportedClasses({ ...model, inputType: architecture.inputType }, sampling, chosen),
    predict: (call, input, batchSize, key, unit) => {
      const b = unit === undefined ? -1 : units.indexOf(unit);
      const alone = b < 0 ? {} : { levels: [entryLevel(partition.ranges[b]!, b)] };
      return classifyByDenoising({ model, call, input, batchSize, key, sampling, ...alone });
    },
  };
}

/** The parts of a classifier's stem and head that blocks share by their policy. */
type ClassStem = { readonly stem: ClassifierNetwork["stem"]; readonly noise: ReturnType<typeof noiseEmbedding> };
type ClassHead = { readonly head: ClassifierNetwork["head"] };

interface Denoising {
  readonly targets: Targets;
  readonly headInput: HeadInput;
  readonly labelLikelihood: LabelLikelihood;
}

function classBlock(
  { stem: { stem, noise }, layers, head: { head }, numLayers, parameters }: Block<ClassStem, ClassHead>,
  { targets, headInput, labelLikelihood }: Denoising,
): ClassBlock {
  return {
    numLayers,
    parameters,
    denoise: (input, z, levels, base, memory?: LayerMemory) => {
      const context = { ...base, condition: noise(reshape(levels.cNoise, [z.shape[0]!])) };
      const embedded = stem(input, mul(levels.cIn, z), context);
      const state = throughLayers(layers, embedded, context, memory);
      const mix = (features: Tensor): Tensor => add(mul(levels.cOut, features), mul(levels.cSkip, z));
      const evidence = head(state, context, headInput === "mixed" ? mix : undefined);
      return scoresOf(evidence, z, levels.sigma, { targets, labelLikelihood });
    },
  };
}
