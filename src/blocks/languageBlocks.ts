import { type Partition, precondition } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import {
  following,
  inParts,
  type KeyValue,
  type LanguageArchitecture,
  plainContext,
  precedingTokens,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { add, concat, crossEntropy, filled, input, mean, mul, reshape, type Tensor } from "../tensor/index.ts";
import { assignLayers, cacheInputs, type LanguageModel, type Unit } from "../train/index.ts";
import type { LabelLikelihood } from "./block.ts";
import { generateText } from "./generateText.ts";
import {
  type BlockViews,
  type ConditionedLanguage,
  conditionedLanguage,
  createLanguageBlock,
  embeddingErrors,
  type LanguageBlock,
  noisyEmbeddings,
  type Pass,
  plainPass,
  type QueryStart,
  weightedTokenMean,
} from "./languageBlock.ts";
import { drawnLevels, fedLevels } from "./levels.ts";
import { blockLikelihoods } from "./measureLanguage.ts";
import type { LossWeighting } from "./objective.ts";
import type { Sampling } from "./predict.ts";
import { blockUnit, perBlock, type SharedPolicy, sharingOf } from "./sharing.ts";
import { createTargets, type TargetEmbedding, type Targets } from "./targets.ts";

/**
 * What the reading of the tokens before starts from in a block. `own`: an embedding of its own, so that blocks share nothing, and each reads with its own layers only. `stacked`: the states to which
 * the blocks before it brought the text; they are finished and only run forward, blocks are trained in order, and the last one reads with all layers.
 */
export type ReadingDepth = "own" | "stacked";

export interface LanguageBlocksOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[];
  readonly shared?: SharedPolicy;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a token's embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly labelLikelihood?: LabelLikelihood;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  readonly reading?: ReadingDepth;
  readonly query?: QueryStart;
  /** Weight of the reading's own cross-entropy of the next token, beside the denoising loss. */
  readonly nextTokenWeight?: number;
  readonly sampling?: Partial<Sampling>;
}

/**
 * A language model in blocks. Program `block-b` maps tokens, z and levels to what the block says of each token from its noisy embedding and the tokens before it; `block-b next` reads one token behind those whose keys and
 * values are fed and estimates the next; `targets` gives the table of embeddings.
 */
export interface LanguageBlocks extends LanguageModel {
  readonly architecture: LanguageArchitecture;
  readonly partition: Partition;
  readonly blocks: readonly LanguageBlock[];
  readonly targets: Targets;
  /** Length of a token's embedding. */
  readonly targetScale: number;
  readonly sampling: Sampling;
  readonly reading: ReadingDepth;
}

const defaultSampling: Sampling = { numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "evidence" };

/**
 * Cuts a language model into blocks that learn alone (DiffusionBlocks, Appendices B and E.4): D_b(z_i, x_<i, σ) estimates the embedding of token i from a noisy one, for σ in the block's range, and the clean tokens before it,
 * with the cross-entropy of its logits as the loss. The clean tokens are read by the same layers under the conditioning of σ_min, so that their keys and values are the same at every noise level and are kept in generation.
 * Reading and estimates are two passes through each layer rather than one over a sequence of twice the length: no score is computed that the mask would hide, and the last layer's reading ends at its keys and values.
 *
 * @throws {PartitionError} if the layers cannot be assigned. {UsageError} if stacked blocks are to share what goes on learning.
 */
export function convertLanguage(architecture: LanguageArchitecture, options: LanguageBlocksOptions): LanguageBlocks {
  const { partition, shared = "owned", lossWeighting = "none", reading = "own", query = "previous", targetScale = 1 } = options;
  const { nextTokenWeight = 0, labelLikelihood = "exact", initialGate = 1 } = options;
  if (reading === "stacked" && shared !== "owned" && shared !== "frozen") {
    const message =
      "convertLanguage: stacked blocks read the finished blocks before them, so nothing that they share can go on learning. Choose shared: owned or frozen.";
    throw new UsageError("stackedSharing", { shared }, message);
  }
  const { vocabSize, length, width } = architecture;
  const numBlocks = partition.ranges.length;
  const ranges = assignLayers(architecture.numLayers, numBlocks, options.layersPerBlock);
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const networks = perBlock(numBlocks, shared, () => conditionedLanguage(architecture, initialGate), withStemOf);
  const cleanLevel = precondition(partition.noise.sigmaMin, partition.noise.sigmaData).cNoise;
  const blocks = ranges.map((range, b) => {
    const embeds = reading === "own" || b === 0 || query === "blank";
    return createLanguageBlock(networks[b]!, range, { vocabSize, targets, cleanLevel, query, labelLikelihood, embeds });
  });
  const units = unitsOf(blocks, { shared, reading, targets });
  const sampling: Sampling = { ...defaultSampling, ...options.sampling };

  /** What block b's reading of these tokens starts from: an embedding, or the states of the blocks before. */
  const startOf = (b: number, tokens: Tensor, { context }: Pass): Tensor => {
    const preceding = precedingTokens(tokens, vocabSize);
    if (reading === "own" || b === 0) return blocks[b]!.embed(preceding, context);
    const embedded = blocks[0]!.embed(preceding, plainContext);
    return blocks.slice(0, b).reduce((h, before) => before.read(h, plainPass).state, embedded);
  };

  return {
    name: numBlocks === 1 ? "diffusion" : "diffusion-blocks",
    inputType: architecture.inputType,
    vocabSize,
    length,
    architecture,
    partition,
    blocks,
    targets,
    targetScale,
    sampling,
    reading,
    units,
    ...sharingOf(shared, units),
    ...(reading === "stacked" && { independentUnits: false, inOrder: true }),
    objective: (unit, { input: tokens }, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const block = blocks[b]!;
      const batchSize = tokens.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batchSize);
      const z = noisyEmbeddings(tokens, levels.sigma, targets, fold(key, "noise"));
      const pass: Pass = { context: trainingContext(fold(key, "dropout")), checkpointing };
      const { reading: read, estimate } = block.readAndEstimate(startOf(b, tokens, pass), { z, levels }, pass);
      const size = batchSize * length * vocabSize;
      const losses = inParts([estimate.state, estimate.condition, z, levels.sigma, tokens], size, (h, c, noisy, sigma, own) =>
        crossEntropy(block.answer({ state: h!, condition: c! }, noisy!, sigma!).logits, own!),
      );
      const loss = weightedTokenMean(losses, levels, lossWeighting);
      const metrics = { crossEntropy: mean(losses) };
      if (nextTokenWeight === 0) return { loss, metrics };
      const said = inParts([read.state, read.condition, tokens], size, (h, c, own) =>
        crossEntropy(block.say({ state: h!, condition: c! }), own!),
      );
      return { loss: add(loss, mul(mean(said), nextTokenWeight)), metrics: { ...metrics, nextToken: mean(said) } };
    },
    programs: (batchSize) => {
      const tokens = input("tokens", [batchSize, length], "int32");
      const z = input("z", [batchSize, length, width]);
      const levels = fedLevels(batchSize);
      const whole = blocks.flatMap((block, b) => {
        const { reading: read, estimate } = block.readAndEstimate(startOf(b, tokens, plainPass), { z, levels }, plainPass);
        const { evidence, logits } = block.answer(estimate, z, levels.sigma);
        return [
          [`block-${b}`, { evidence, logits }],
          [`block-${b} measured`, { squaredError: embeddingErrors(logits, tokens, targets) }],
          ...(nextTokenWeight > 0 ? [[`block-${b} read`, { nats: crossEntropy(block.say(read), tokens) }] as const] : []),
        ] as const;
      });
      const next = blocks.map((_, b) => [`block-${b} next`, nextProgram(b, batchSize)] as const);
      return { targets: { table: targets.table }, ...Object.fromEntries([...whole, ...next]) };
    },
    generate(call, batchSize, keys) {
      return generateText({ model: this, ranges, call, batchSize, keys });
    },
    likelihoods(call, batchSize, text, key, unit) {
      const block = unit === undefined ? undefined : units.indexOf(unit);
      return blockLikelihoods({ model: this, call, batchSize, text, key, block, hasReadingHead: nextTokenWeight > 0 });
    },
  };

  /** One more token read by block b, and the next one estimated. Where blocks are stacked, all but the first read the state of the one below. */
  function nextProgram(b: number, batchSize: number): Record<string, Tensor> {
    const block = blocks[b]!;
    const first = ranges[b]![0];
    const cache = cacheInputs(architecture, batchSize);
    const before = reshape(input("before", [batchSize], "int32"), [batchSize, 1]);
    const start = reading === "stacked" && b > 0 ? input("below", [batchSize, 1, width]) : block.embed(before, plainContext);
    const pasts = Array.from({ length: block.numLayers }, (_, i) => cache.past(first + i));
    const isFilled = concat([cache.isFilled, filled(1, [1])], 0);
    const views: BlockViews = {
      reading: (i) => following(pasts[i]!, cache.isFilled, cache.positions),
      estimate: (i, made) => following(joined(pasts[i]!, made), isFilled, cache.positions),
    };
    const noisy = { z: input("z", [batchSize, 1, width]), levels: fedLevels(batchSize) };
    const { reading: read, estimate, kept } = block.readAndEstimate(start, noisy, plainPass, views);
    for (const [i, made] of kept.entries()) cache.keep(first + i, made);
    const { evidence, logits } = block.answer(estimate, noisy.z, noisy.levels.sigma);
    const flat = (x: Tensor): Tensor => reshape(x, [batchSize, vocabSize]);
    return { evidence: flat(evidence), logits: flat(logits), state: read.state, ...cache.made };
  }
}

function joined(a: KeyValue, b: KeyValue): KeyValue {
  return { key: concat([a.key, b.key], 1), value: concat([a.value, b.value], 1) };
}

/** A network of its own but for another's embedding of tokens and of noise. */
function withStemOf(common: ConditionedLanguage, own: ConditionedLanguage): ConditionedLanguage {
  return { network: { ...own.network, stem: common.network.stem }, noise: common.noise };
}

interface UnitOptions {
  readonly shared: SharedPolicy;
  readonly reading: ReadingDepth;
  readonly targets: Targets;
}

/** One unit for each block. A sample passes twice through its layers, and where blocks are stacked once through those of the blocks before. */
function unitsOf(blocks: readonly LanguageBlock[], { shared, reading, targets }: UnitOptions): readonly Unit[] {
  const table = { constant: targets.parameter ? undefined : targets.table, learned: targets.parameter };
  const units = blocks.map(({ parameters, numLayers }, b) => blockUnit(b, { parameters, numLayers: 2 * numLayers }, shared, table));
  if (reading === "own") return units;
  return units.map((unit, b) => {
    const read = new Set(blocks.slice(0, b).flatMap(({ parameters: { stem, layers } }) => [...stem.values(), ...layers.values()]));
    const before = units.slice(0, b).flatMap(({ trainable, frozen }) => [...trainable, ...frozen].filter(([, tensor]) => read.has(tensor)));
    const layersBefore = blocks.slice(0, b).reduce((sum, { numLayers }) => sum + numLayers, 0);
    return { ...unit, frozen: new Map([...unit.frozen, ...before]), numLayers: unit.numLayers + layersBefore };
  });
}
