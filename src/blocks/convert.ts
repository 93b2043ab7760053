import type { Partition } from "../diffusion/index.ts";
import { type Architecture, type Context, standardNormal, trainingContext } from "../nn/index.ts";
import { fold } from "../random.ts";
import { mean, random } from "../tensor/index.ts";
import { assignLayers, type Classifier, classAccuracy, type TracedBatch } from "../train/index.ts";
import {
  type Block,
  type BlockConfig,
  type ConditionedNetwork,
  conditionedNetwork,
  createBlock,
  type HeadInput,
  type LabelLikelihood,
} from "./block.ts";
import { drawnLevels } from "./levels.ts";

import { type DenoisingLoss, denoisingLoss, type LossWeighting, type TargetNoise } from "./objective.ts";
import { entryLevel, predictionPrograms, predictWalk, type Sampling, type SamplingOptions } from "./predict.ts";
import { blockUnit, perBlock, type SharedPolicy, sharingOf } from "./sharing.ts";
import { createTargets, type TargetEmbedding, type Targets } from "./targets.ts";

export interface BlocksOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[] | undefined;
  readonly shared?: SharedPolicy;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a class embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly headInput?: HeadInput;
  readonly labelLikelihood?: LabelLikelihood;
  /** Width of the noise conditioning; a sixth of the network's by default. */
  readonly condWidth?: number | undefined;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  readonly sampling?: SamplingOptions<Sampling>;
}

/** A network in blocks: a training method with one unit for each. */
export interface DiffusionBlocks extends Classifier {
  readonly architecture: Architecture;
  readonly partition: Partition;
  readonly blocks: readonly Block[];
  readonly targets: Targets;
  readonly sampling: Sampling;
  /** Traces a block's loss at given noise: `objective` with the drawing left to the caller. */
  denoisingLoss(block: number, batch: TracedBatch, noise: TargetNoise, context: Context, checkpointing?: boolean): DenoisingLoss;
}

/** The defaults that the measurements favour: see docs/QUALITY.md. */
const defaultSampling: Sampling = { numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "evidence" };

/**
 * Cuts a network into blocks that learn alone: layers in order, block 0 with the first layers and the highest noise; each block
 * denoises y + σε for σ in its own range, with noise conditioning by adaLN.
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 3.
 */
export function convert(architecture: Architecture, options: BlocksOptions): DiffusionBlocks {
  const { partition, shared = "owned", lossWeighting = "none" } = options;
  const numBlocks = partition.ranges.length;
  const ranges = assignLayers(architecture.numLayers, numBlocks, options.layersPerBlock);
  const config: BlockConfig = {
    initialGate: options.initialGate ?? 1,
    condWidth: options.condWidth ?? Math.max(1, Math.floor(architecture.width / 6)),
    headInput: options.headInput ?? "features",
    labelLikelihood: options.labelLikelihood ?? "exact",
  };
  const targets = createTargets(
    options.targetEmbedding ?? "orthonormal",
    architecture.numClasses,
    architecture.width,
    options.targetScale ?? 1,
  );
  const networks = perBlock(numBlocks, shared, () => conditionedNetwork(architecture, config), withStemOf);
  const blocks = ranges.map((range, b) => createBlock(networks[b]!, range, targets, config));
  const units = blocks.map((block, b) =>
    blockUnit(b, block, shared, { constant: targets.parameter ? undefined : targets.table, learned: targets.parameter }),
  );
  const sampling: Sampling = { ...defaultSampling, ...options.sampling };
  const lossOf: DiffusionBlocks["denoisingLoss"] = (b, batch, noise, context, checkpointing = false) =>
    denoisingLoss(batch, noise, context, { block: blocks[b]!, targets, weighting: lossWeighting, checkpointing });

  return {
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    partition,
    blocks,
    layersPerBlock: ranges.map(([first, end]) => end - first),
    targets,
    sampling,
    units,
    ...sharingOf(shared, units),
    objective: (unit, batch, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const batchSize = batch.labels.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batchSize);
      const epsilon = random(fold(key, "noise"), standardNormal, [batchSize, architecture.width]);
      const { loss, crossEntropy, logits } = lossOf(b, batch, { levels, epsilon }, trainingContext(fold(key, "dropout")), checkpointing);
      return { loss, metrics: { crossEntropy: mean(crossEntropy), accuracy: classAccuracy(logits, batch.labels) } };
    },
    denoisingLoss: lossOf,
    programs: (batchSize) => predictionPrograms(architecture, blocks, targets, batchSize),
    predict: (call, input, batchSize, key, unit) => {
      const b = unit === undefined ? -1 : units.indexOf(unit);
      const alone = b < 0 ? {} : { grid: [entryLevel(partition.ranges[b]!, b)] };
      return predictWalk({ architecture, partition, call, input, batchSize, key, sampling, ...alone });
    },
  };
}

/** A network of its own but for another's stem and noise embedding. */
function withStemOf(common: ConditionedNetwork, own: ConditionedNetwork): ConditionedNetwork {
  return { network: { ...own.network, stem: common.network.stem }, noise: common.noise };
}
