import { type Partition, precondition } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { inParts, type LanguageArchitecture, plainContext, precedingTokens, trainingContext } from "../nn/index.ts";
import { fold, type Key } from "../random.ts";
import { add, crossEntropy, mean, mul, type Tensor } from "../tensor/index.ts";
import { assignLayers, forward, type LanguageModel, type Unit } from "../train/index.ts";
import type { Estimate, LabelLikelihood } from "./block.ts";
import { generateText } from "./generateText.ts";
import { handedTokens, handOver } from "./handOver.ts";
import {
  type Conditioned,
  type ConditionedLanguage,
  conditionedLanguage,
  createLanguageBlock,
  type LanguageBlock,
  type NoisyTokens,
  noisyEmbeddings,
  type Pass,
  plainPass,
  type QueryStart,
  weightedTokenMean,
} from "./languageBlock.ts";
import { languagePrograms } from "./languagePrograms.ts";
import { drawnLevels, type NoiseLevels } from "./levels.ts";
import { blockLikelihoods } from "./measureLanguage.ts";
import type { LossWeighting } from "./objective.ts";
import type { Sampling, SamplingOptions } from "./predict.ts";
import { blockUnit, checkFinishedSharing, perBlock, readingOthers, type SharedPolicy, sharingOf } from "./sharing.ts";
import { createTargets, type TargetEmbedding, type Targets } from "./targets.ts";

/**
 * What the reading of the tokens before starts from in a block. `own`: an embedding of its own, so that blocks share nothing, and each reads with its own layers only. `stacked`: the states to which
 * the blocks before it brought the text; they are finished and only run forward, blocks are trained in order, and the last one reads with all layers.
 */
export type ReadingDepth = "own" | "stacked";

/**
 * Where the next-token cross-entropy of the readings is taken. `block`: right behind the block's own layers, by its own head. `network`: of stacked readings, behind all layers, by the last head; the layers of the other blocks stand still while
 * the gradient passes through them, so that blocks take turns on the loss of ordinary training (block-coordinate descent).
 */
export type NextTokenPlace = "block" | "network";

/** As for classes, or what the readings say of the next token, where they were trained to. */
export type LanguageReadout = Sampling["readout"] | "next-token";

export type LanguageSampling = Omit<Sampling, "readout"> & { readonly readout: LanguageReadout };

export interface LanguageBlocksOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[] | undefined;
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
  /** Tokens that are estimated together: 1 in the paper, more as in Block Diffusion (Arriola et al. 2025). */
  readonly groupSize?: number;
  /** Weight of the readings' own cross-entropy of the next token, beside the denoising loss, and where it is taken. */
  readonly nextTokenWeight?: number;
  readonly nextTokenPlace?: NextTokenPlace;
  /** Share of the texts whose noisy embeddings are what a walk through the finished blocks before hands over, in place of the true ones with noise: training against exposure bias. */
  readonly handedOver?: number;
  readonly sampling?: SamplingOptions<LanguageSampling>;
}

/** A language model in blocks. Its programs are those of {@link languagePrograms}. */
export interface LanguageBlocks extends LanguageModel {
  readonly architecture: LanguageArchitecture;
  readonly partition: Partition;
  readonly blocks: readonly LanguageBlock[];
  readonly targets: Targets;
  /** Length of a token's embedding. */
  readonly targetScale: number;
  readonly sampling: LanguageSampling;
  readonly reading: ReadingDepth;
  readonly groupSize: number;
  /** Blocks whose readings say something of the next token. */
  readonly speaking: readonly number[];
}

/** What the programs of a language model in blocks are made of. */
export interface LanguageParts {
  readonly architecture: LanguageArchitecture;
  /** First layer and end of each block. */
  readonly ranges: readonly (readonly [first: number, end: number])[];
  readonly blocks: readonly LanguageBlock[];
  readonly targets: Targets;
  readonly reading: ReadingDepth;
  readonly groupSize: number;
  readonly speaking: readonly number[];
  /** What block b's reading of these tokens starts from. */
  startOf(b: number, tokens: Tensor, pass: Pass): Tensor;
  /** A function of what block b answers for each token, a few at a time. */
  answered(b: number, estimate: Conditioned, noisy: NoisyTokens, tokens: Tensor, f: (answer: Estimate, tokens: Tensor) => Tensor): Tensor;
  /** −ln p of each token by what a reading says behind block b. */
  spoken(b: number, read: Conditioned, tokens: Tensor): Tensor;
}

const defaultSampling: LanguageSampling = { numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "evidence" };

/**
 * Cuts a language model into blocks that learn alone (DiffusionBlocks, Appendices B and E.4): D_b(z_i, x_<i, σ) estimates the embedding of token i from a noisy one, for σ in the block's range, and the clean tokens before it,
 * with the cross-entropy of its logits as the loss. The clean tokens are read by the same layers under the conditioning of σ_min, so that their keys and values are the same at every noise level and are kept in generation.
 * Reading and estimates are two passes through each layer rather than one over a sequence of twice the length: no score is computed that the mask would hide, and the last layer's reading ends at its keys and values.
 *
 * @throws {PartitionError} if the layers cannot be assigned. {UsageError} if options do not go together.
 */
export function convertLanguage(architecture: LanguageArchitecture, options: LanguageBlocksOptions): LanguageBlocks {
  checkOptions(architecture, options);
  const { partition, shared = "owned", lossWeighting = "none", reading = "own", query = "previous", groupSize = 1 } = options;
  const { nextTokenWeight = 0, nextTokenPlace = "block", handedOver = 0 } = options;
  const { labelLikelihood = "exact", initialGate = 1, targetScale = 1 } = options;
  const { vocabSize, length, width } = architecture;
  const { noise } = partition;
  const numBlocks = partition.ranges.length;
  const ranges = assignLayers(architecture.numLayers, numBlocks, options.layersPerBlock);
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const networks = perBlock(numBlocks, shared, () => conditionedLanguage(architecture, initialGate), withStemOf);
  const cleanLevel = precondition(noise.sigmaMin, noise.sigmaData).cNoise;
  const blocks = ranges.map((range, b) => {
    const embeds = reading === "own" || b === 0 || query === "blank";
    return createLanguageBlock(networks[b]!, range, { vocabSize, targets, cleanLevel, query, groupSize, labelLikelihood, embeds });
  });
  const isThrough = nextTokenWeight > 0 && nextTokenPlace === "network";
  const units = unitsOf(blocks, { shared, targets, isStacked: reading === "stacked", isThrough, isHanded: handedOver > 0 });
  const sampling: LanguageSampling = { ...defaultSampling, ...options.sampling };
  const all = [...blocks.keys()];
  const speaking = nextTokenWeight === 0 ? [] : isThrough ? all.slice(-1) : all;
  if (sampling.readout === "next-token" && speaking.length === 0) {
    const message = "convertLanguage: readings say nothing of the next token unless they are trained to. Give a nextTokenWeight above 0.";
    throw new UsageError("silentReading", {}, message);
  }

  const sizeOf = (tokens: Tensor): number => tokens.shape[0]! * tokens.shape[1]! * vocabSize;
  const parts: LanguageParts = {
    architecture,
    ranges,
    blocks,
    targets,
    reading,
    groupSize,
    speaking,
    startOf: (b, tokens, { context }) => {
      const preceding = precedingTokens(tokens, vocabSize);
      if (reading === "own" || b === 0) return blocks[b]!.embed(preceding, context);
      const embedded = blocks[0]!.embed(preceding, plainContext);
      return blocks.slice(0, b).reduce((h, before) => before.read(h, plainPass).state, embedded);
    },
    answered: (b, { state, condition }, { z, levels }, tokens, f) =>
      inParts({ tokens: [state, z, tokens], items: [condition, levels.sigma] }, sizeOf(tokens), ([h, noisy, own], [c, sigma]) =>
        f(blocks[b]!.answer({ state: h!, condition: c! }, noisy!, sigma!), own!),
      ),
    spoken: (b, { state, condition }, tokens) =>
      inParts({ tokens: [state, tokens], items: [condition] }, sizeOf(tokens), ([h, own], [c]) =>
        crossEntropy(blocks[b]!.say({ state: h!, condition: c! }), own!),
      ),
  };

  /** The noisy embeddings that block b learns from. */
  const trainingTokens = (b: number, tokens: Tensor, key: Key): NoisyTokens & { readonly levels: NoiseLevels } => {
    const levels = drawnLevels(fold(key, "sigma"), noise, partition.trainingRanges[b]!, tokens.shape[0]!);
    const drawn = { z: noisyEmbeddings(tokens, levels.sigma, targets, fold(key, "noise")), levels };
    return handedOver > 0 && b > 0 ? handedTokens(drawn, { partition, block: b, share: handedOver, key }) : drawn;
  };

  /** A reading behind block b, brought to where it says the next token. */
  const behind = (b: number, read: Conditioned, pass: Pass): Conditioned =>
    blocks.slice(b + 1).reduce((before, block) => block.read(before.state, pass), read);

  return {
    name: "blocks",
    inputType: architecture.inputType,
    vocabSize,
    length,
    architecture,
    partition,
    blocks,
    layersPerBlock: ranges.map(([first, end]) => end - first),
    targets,
    targetScale,
    sampling,
    reading,
    groupSize,
    speaking,
    units,
    ...sharingOf(shared, units),
    ...((reading === "stacked" || handedOver > 0) && { independentUnits: false, inOrder: !isThrough }),
    ...(handedOver > 0 && {
      prepare: async (unit, { input: tokens }, key, call) =>
        handOver({
          partition,
          bridge: sampling.bridge,
          targets,
          vocabSize,
          call,
          tokens: tokens as Int32Array,
          length,
          block: units.indexOf(unit),
          key,
        }),
    }),
    objective: (unit, { input: tokens }, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const pass: Pass = { context: trainingContext(fold(key, "dropout")), checkpointing };
      const noisy = trainingTokens(b, tokens, key);
      const { reading: read, estimate } = blocks[b]!.readAndEstimate(parts.startOf(b, tokens, pass), noisy, pass);
      const losses = parts.answered(b, estimate, noisy, tokens, ({ logits }, own) => crossEntropy(logits, own));
      const loss = weightedTokenMean(losses, noisy.levels, lossWeighting);
      const metrics = { crossEntropy: mean(losses) };
      if (nextTokenWeight === 0) return { loss, metrics };
      const said = isThrough
        ? parts.spoken(numBlocks - 1, behind(b, read, { ...plainPass, checkpointing }), tokens)
        : parts.spoken(b, read, tokens);
      return { loss: add(loss, mul(mean(said), nextTokenWeight)), metrics: { ...metrics, nextToken: mean(said) } };
    },
    programs: (batchSize) => languagePrograms(parts, batchSize),
    generate(call, batchSize, keys) {
      return generateText({ model: this, ranges, call, batchSize, keys });
    },
    likelihoods(call, batchSize, text, key, unit) {
      const block = unit === undefined ? undefined : units.indexOf(unit);
      return blockLikelihoods({ model: this, call, batchSize, text, key, block });
    },
  };
}

function checkOptions({ length }: LanguageArchitecture, options: LanguageBlocksOptions): void {
  const { shared = "owned", reading = "own", groupSize = 1, nextTokenWeight = 0, nextTokenPlace = "block", handedOver = 0 } = options;
  const refuse = (code: string, data: object, what: string): never => {
    throw new UsageError(code, { ...data }, `convertLanguage: ${what}`);
  };
  if (reading === "stacked" || handedOver > 0) checkFinishedSharing("convertLanguage", shared);
  if (nextTokenWeight > 0 && nextTokenPlace === "network" && (reading !== "stacked" || handedOver > 0)) {
    const why = "the next token's cross-entropy behind the whole network is that of stacked readings, all of which go on learning";
    refuse("throughNetwork", { reading, handedOver }, `${why}. Choose reading: stacked, and handedOver: 0.`);
  }
  if (!(Number.isInteger(groupSize) && groupSize >= 1 && length % groupSize === 0))
    refuse("groupSize", { groupSize, length }, `groups of ${groupSize} tokens do not divide a sequence of ${length}.`);
  if (groupSize > 1 && nextTokenWeight > 0)
    refuse(
      "groupsSeen",
      { groupSize },
      "the reading of a token sees its whole group, and so the next one; there is no next-token loss of groups.",
    );
}

/** A network of its own but for another's embedding of tokens and of noise. */
function withStemOf(common: ConditionedLanguage, own: ConditionedLanguage): ConditionedLanguage {
  return { network: { ...own.network, stem: common.network.stem }, noise: common.noise };
}

interface UnitOptions {
  readonly shared: SharedPolicy;
  readonly targets: Targets;
  readonly isStacked: boolean;
  readonly isThrough: boolean;
  readonly isHanded: boolean;
}

/**
 * One unit for each block, with what it reads of the others. A sample passes twice through its layers; forward through those of the blocks before where readings are stacked, and twice where they hand over; and forward and back, but for
 * their own gradients, through those of the blocks behind where the next token is said there.
 */
function unitsOf(blocks: readonly LanguageBlock[], { shared, targets, isStacked, isThrough, isHanded }: UnitOptions): readonly Unit[] {
  const table = { constant: targets.parameter ? undefined : targets.table, learned: targets.parameter };
  const units = blocks.map(({ parameters, numLayers }, b) => blockUnit(b, { parameters, numLayers: 2 * numLayers }, shared, table));
  return readingOthers(units, blocks, (own, other) => {
    if (other < own && (isStacked || isHanded)) return { layers: ((isStacked ? 1 : 0) + (isHanded ? 2 : 0)) * forward, head: isHanded };
    return other > own && isThrough ? { layers: 2 * forward, head: other === blocks.length - 1 } : undefined;
  });
}
