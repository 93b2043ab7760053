import type { Partition } from "../diffusion/index.ts";
import { type Architecture, type Context, standardNormal, trainingContext } from "../nn/index.ts";
import { fold } from "../random.ts";
import { mean, random, type Tensor } from "../tensor/index.ts";
import { assignLayers, classAccuracy, type TracedBatch, type TrainingMethod, type Unit } from "../train/index.ts";
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
import { entryLevel, predictionPrograms, predictWalk, type Sampling } from "./predict.ts";
import { createTargets, type TargetEmbedding, type Targets } from "./targets.ts";

/**
 * What blocks have in common besides the constants. `owned`: nothing, each block has its own stem, noise embedding and head.
 * `frozen`: one stem and noise embedding, at their initial values, never trained. `averageEvery`: owned, and averaged over the
 * blocks every K rounds. `together`: one stem, noise embedding and head, updated at every step of every block, as the official code does.
 */
export type SharedPolicy = "owned" | "frozen" | "together" | { readonly averageEvery: number };

export interface BlocksOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[];
  readonly shared?: SharedPolicy;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a class embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly headInput?: HeadInput;
  readonly labelLikelihood?: LabelLikelihood;
  /** Width of the noise conditioning; a sixth of the network's by default. */
  readonly condWidth?: number;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  readonly sampling?: Partial<Sampling>;
}

/** A network in blocks: a training method with one unit for each. */
export interface DiffusionBlocks extends TrainingMethod {
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
  const networks = networksOf(architecture, config, shared, numBlocks);
  const blocks = ranges.map((range, b) => createBlock(networks[b]!, range, targets, config));
  const units = blocks.map((block, b) => unitOf(block, `block-${b}`, shared, targets));
  const sampling: Sampling = { ...defaultSampling, ...options.sampling };
  const lossOf: DiffusionBlocks["denoisingLoss"] = (b, batch, noise, context, checkpointing = false) =>
    denoisingLoss(batch, noise, context, { block: blocks[b]!, targets, weighting: lossWeighting, checkpointing });

  return {
    name: "diffusion-blocks",
    inputType: architecture.inputType,
    architecture,
    partition,
    blocks,
    targets,
    sampling,
    units,
    independentUnits: shared === "owned" || shared === "frozen",
    ...(typeof shared === "object" && { averaging: { every: shared.averageEvery, groups: averagedGroups(units) } }),
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

/** The network from which each block takes its layers, with its own stem, noise embedding and head or the common ones. */
function networksOf(architecture: Architecture, config: BlockConfig, shared: SharedPolicy, numBlocks: number): ConditionedNetwork[] {
  const common = conditionedNetwork(architecture, config);
  return Array.from({ length: numBlocks }, (_, b) => {
    if (b === 0 || shared === "together") return common;
    const own = conditionedNetwork(architecture, config);
    return shared === "frozen" ? { network: { ...own.network, stem: common.network.stem }, noise: common.noise } : own;
  });
}

type Entry = readonly [path: string, tensor: Tensor];

function unitOf({ parameters, numLayers }: Block, name: string, shared: SharedPolicy, targets: Targets): Unit {
  const under = (owner: string, parameters: ReadonlyMap<string, Tensor>): Entry[] =>
    [...parameters].map(([path, tensor]) => [`${owner}/${path}`, tensor]);
  const learned: Entry[] = targets.parameter ? [["shared/targets", targets.parameter]] : [];
  const layers = under(name, parameters.layers);
  const constants = new Map(targets.parameter ? [] : [["targets", targets.table] as const]);
  const base = { name, constants, numLayers };
  switch (shared) {
    case "together":
      return {
        ...base,
        trainable: new Map([...under("shared", parameters.stem), ...layers, ...under("shared", parameters.head), ...learned]),
        frozen: new Map(),
      };
    case "frozen":
      return {
        ...base,
        trainable: new Map([...layers, ...under(name, parameters.head)]),
        frozen: new Map([...under("shared", parameters.stem), ...learned]),
      };
    default:
      return {
        ...base,
        trainable: new Map([...under(name, parameters.stem), ...layers, ...under(name, parameters.head)]),
        frozen: new Map(learned),
      };
  }
}

/** For each parameter of stem, noise embedding and head: its paths in all blocks. */
function averagedGroups(units: readonly Unit[]): string[][] {
  const local = (unit: Unit): string[] =>
    [...unit.trainable.keys()].map((path) => path.slice(unit.name.length + 1)).filter((path) => !path.startsWith("layers."));
  return local(units[0]!).map((path) => units.map((unit) => `${unit.name}/${path}`));
}
