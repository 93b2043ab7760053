import { type Partition, precondition } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import {
  BlockReader,
  blockLikelihood,
  denoisingLikelihoods,
  exportedText,
  generate,
  type TokenDenoiser,
  type TokenSampling,
} from "../inference/index.ts";
import { adaLNZero, type LanguageArchitecture, noiseEmbedding, plainContext, precedingTokens, trainingContext } from "../nn/index.ts";
import { fold, type Key } from "../random.ts";
import { add, crossEntropy, mean, mul, type Tensor } from "../tensor/index.ts";
import { forwardCost, type LanguageModel } from "../train/index.ts";
import { ContextStreamBlock, type Pass, plainPass, type QueryStart, type StreamState } from "./contextStream.ts";
import { type CutOptions, cut } from "./cut.ts";
import { type BatchLevels, drawnLevels } from "./levels.ts";
import { type NextTokenBlock, nextTokenPrograms } from "./nextTokenPrograms.ts";
import { type NoisyTokens, noisyTokens, type TokenDenoisingOptions, weightedTokenMean } from "./noisyTokens.ts";
import { reachedStates, withReachedStates } from "./scheduledSampling.ts";
import type { PassageOf, Turns } from "./sharing.ts";
import { createTargets, type Targets, targetTable } from "./targets.ts";

/**
 * Where the context stream of a block starts. `own`: at an embedding of its own, so that blocks share nothing, and
 * each reads with its own layers only. `stacked`: at the states to which the blocks before have brought the text;
 * they are finished and only run forward, and the last block reads with all layers.
 */
export type ContextDepth = "own" | "stacked";

/**
 * Where the next-token cross-entropy of the context stream is taken. `block`: behind the block's own layers, by its
 * own head. `network`: of stacked streams, behind all layers, by the last head; layers of the other blocks stand
 * still while the gradient passes through them, so that blocks take turns on the loss of ordinary training
 * (block-coordinate descent).
 */
export type NextTokenPlace = "block" | "network";

export interface LanguageBlocksOptions extends CutOptions, TokenDenoisingOptions {
  readonly context?: ContextDepth;
  readonly query?: QueryStart;
  /** Tokens that are estimated together: 1 in the paper, more as in Block Diffusion (Arriola et al. 2025). */
  readonly groupSize?: number;
  /** Weight of the next-token cross-entropy of the context stream beside the denoising loss, and where it is taken. */
  readonly nextTokenWeight?: number;
  readonly nextTokenPlace?: NextTokenPlace;
  /** Of blocks that learn behind the whole network: after every step by default. */
  readonly turns?: Turns | undefined;
  /**
   * Share of the texts whose noisy embeddings come from the reverse process of the finished blocks before, in the
   * place of true embeddings with noise: training against exposure bias.
   */
  readonly scheduledSampling?: number;
  readonly sampling?: Partial<TokenSampling>;
}

/** A language model in blocks. */
export interface LanguageBlocks extends LanguageModel, TokenDenoiser<NextTokenBlock> {
  readonly partition: Partition;
  readonly architecture: LanguageArchitecture;
  readonly targets: Targets;
  readonly sampling: TokenSampling;
}

export const defaultTokenSampling: TokenSampling = Object.freeze({
  grid: "equi-probability",
  sampler: "euler",
  estimate: "soft",
  readout: "evidence",
});

/**
 * Cuts a language model into blocks that learn alone: D_b(z_i, x_<i, σ) estimates the embedding of token i from a noisy one, for σ in the
 * block's range, and the clean tokens before it, with the cross-entropy of its logits as the loss. Clean tokens are
 * read by the same layers under the conditioning of σ_min, so that their keys and values are the same at every noise
 * level and are kept in generation.
 *
 * @throws {PartitionError} if the layers cannot be assigned. {UsageError} if options do not go together.
 * @see DiffusionBlocks (arXiv 2506.14202), Appendices B and E.4.
 */
export function convertLanguage(architecture: LanguageArchitecture, options: LanguageBlocksOptions): LanguageBlocks {
  checkOptions(architecture, options);
  const { partition, layersPerBlock, shared, lossWeighting = "none", context = "own", query = "previous", groupSize = 1 } = options;
  const { nextTokenWeight = 0, nextTokenPlace = "block", scheduledSampling = 0 } = options;
  const { labelLikelihood = "exact", initialGate = 1, targetScale = 1 } = options;
  const { vocabSize, length, width, numLayers, condWidth, epsilon } = architecture;
  const { noise, ranges, trainingRanges } = partition;
  const isStacked = context === "stacked";
  const isThrough = nextTokenWeight > 0 && nextTokenPlace === "network";
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const sampling: TokenSampling = { ...defaultTokenSampling, ...options.sampling };
  const { blocks, units, order, ...own } = cut({
    numLayers,
    numBlocks: ranges.length,
    layersPerBlock,
    shared,
    targets,
    evaluationsPerLayer: 2, // both streams
    build: () => {
      const { stem, target, layers, head } = architecture.build(adaLNZero({ condWidth, epsilon, targetWidth: width, initialGate }));
      return { stem: { stem, noise: noiseEmbedding(condWidth, { activated: false }) }, layers, head: { target, head } };
    },
    usedStem: ({ stem, noise: level }, b) => (isStacked && b > 0 && query === "previous" ? { noise: level } : { stem, noise: level }),
    passageOf: passageOf({ isStacked, isThrough, isSampled: scheduledSampling > 0, numBlocks: ranges.length }),
    turns: options.turns,
  });
  const cleanLevel = precondition(noise.sigmaMin, noise).cNoise;
  const streams = blocks.map(
    (block) => new ContextStreamBlock(block, { vocabSize, targets, cleanLevel, query, groupSize, labelLikelihood }),
  );

  /** Where the context stream of block b starts. */
  const startOf = (b: number, tokens: Tensor, { base }: Pass): Tensor => {
    const preceding = precedingTokens(tokens, vocabSize);
    if (!isStacked || b === 0) return streams[b]!.embed(preceding, base);
    const embedded = streams[0]!.embed(preceding, plainContext);
    return streams.slice(0, b).reduce((h, before) => before.context(h, plainPass).state, embedded);
  };
  /** A context stream behind block b, brought through the blocks that follow. */
  const throughNetwork = (b: number, stream: StreamState, pass: Pass): StreamState =>
    streams.slice(b + 1).reduce((before, next) => next.context(before.state, pass), stream);
  /** The noisy embeddings that block b learns from. */
  const trainingTokens = (b: number, tokens: Tensor, key: Key): NoisyTokens & { readonly levels: BatchLevels } => {
    const levels = drawnLevels(fold(key, "sigma"), noise, trainingRanges[b]!, tokens.shape[0]!);
    const drawn = { z: noisyTokens(tokens, levels.sigma, targets, fold(key, "noise")), levels };
    return scheduledSampling > 0 && b > 0 ? withReachedStates(drawn, { share: scheduledSampling, key, partition, block: b }) : drawn;
  };

  const all = [...blocks.keys()];
  const withHead = nextTokenWeight === 0 ? [] : isThrough ? all.slice(-1) : all;
  const programs = all.map((b) =>
    nextTokenPrograms(streams[b]!, {
      name: units[b]!.name,
      length,
      width,
      isFirst: b === 0,
      isStacked,
      hasNextToken: withHead.includes(b),
      startOf: (tokens) => startOf(b, tokens, plainPass),
    }),
  );
  const table = targetTable(targets);
  const model: TokenDenoiser<NextTokenBlock> = {
    vocabSize,
    length,
    width,
    targetScale,
    groupSize,
    partition,
    blocks: programs,
    estimates: programs.map(({ estimate }) => estimate),
    answering: isStacked ? all.slice(-1) : all,
    table,
  };

  const entryNoise = (block: number): string => `entry ${block}`;
  const generateText: LanguageModel["generate"] = (call, batchSize, keys) => {
    const reader = new BlockReader({ programs: programs.map(({ next }) => next), partition, groupSize, width, call, batchSize });
    return generate({ model, sampling, reader, call, batchSize, keys, entryNoise });
  };

  return {
    ...model,
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    targets,
    sampling,
    layersPerBlock: own.layersPerBlock,
    units,
    order,
    ...(scheduledSampling > 0 && {
      prepare: async (unit, { input }, key, call) => {
        const block = units.indexOf(unit);
        if (block === 0) return {};
        return { reached: await reachedStates({ model, sampling, call, tokens: input as Int32Array, block, key }) };
      },
    }),
    objective: (unit, { input: tokens }, key, memory) => {
      const b = units.indexOf(unit);
      const stream = streams[b]!;
      const pass: Pass = { base: trainingContext(fold(key, "dropout")), memory };
      const noisy = trainingTokens(b, tokens, key);
      const states = stream.streams(startOf(b, tokens, pass), noisy, pass);
      const losses = stream.ofScores(states.estimates, noisy, tokens, ({ logits }, own) => crossEntropy(logits, own));
      const loss = weightedTokenMean(losses, noisy.levels, lossWeighting);
      const metrics = { crossEntropy: mean(losses) };
      if (nextTokenWeight === 0) return { loss, metrics };
      const nextToken = isThrough
        ? streams.at(-1)!.nextTokenLosses(throughNetwork(b, states.context, { ...plainPass, memory }), tokens)
        : stream.nextTokenLosses(states.context, tokens);
      return { loss: add(loss, mul(mean(nextToken), nextTokenWeight)), metrics: { ...metrics, nextToken: mean(nextToken) } };
    },
    programs: [table, ...programs.flatMap((block) => block.all)],
    generate: generateText,
    exported: (chosen) => exportedText({ model, sampling, generate: generateText, entryNoise }, chosen),
    likelihoods: (call, batchSize, text, key, unit) => {
      const measure = { model, readout: sampling.readout, call, batchSize, text, key };
      return unit === undefined ? denoisingLikelihoods(measure) : blockLikelihood(measure, units.indexOf(unit));
    },
  };
}

interface Reading {
  readonly isStacked: boolean;
  readonly isThrough: boolean;
  readonly isSampled: boolean;
  readonly numBlocks: number;
}

/**
 * Parts of other blocks that a step reads: of those before, one forward pass where streams are stacked, and two of a
 * reverse process; of those behind, where the next-token loss is taken behind them, a pass forward and back without
 * the gradients of their own parameters.
 */
function passageOf({ isStacked, isThrough, isSampled, numBlocks }: Reading): PassageOf | undefined {
  if (!(isStacked || isSampled)) return undefined;
  return (own, other) => {
    if (other < own) return { evaluationsPerLayer: ((isStacked ? 1 : 0) + (isSampled ? 2 : 0)) * forwardCost, head: isSampled };
    return isThrough ? { evaluationsPerLayer: 2 * forwardCost, head: other === numBlocks - 1 } : undefined;
  };
}

function checkOptions({ length }: LanguageArchitecture, options: LanguageBlocksOptions): void {
  const { context = "own", groupSize = 1, nextTokenWeight = 0, nextTokenPlace = "block", scheduledSampling = 0, sampling } = options;
  const refuse = (code: string, data: object, what: string): never => {
    throw new UsageError(code, { ...data }, `convertLanguage: ${what}`);
  };
  if (nextTokenWeight > 0 && nextTokenPlace === "network" && (context !== "stacked" || scheduledSampling > 0))
    refuse(
      "throughNetwork",
      { context, scheduledSampling },
      "the next-token loss behind the whole network is that of stacked context streams, all of which go on learning. Choose context: stacked, and scheduledSampling: 0.",
    );
  if (!(Number.isInteger(groupSize) && groupSize >= 1 && length % groupSize === 0))
    refuse("groupSize", { groupSize, length }, `groups of ${groupSize} tokens do not divide a sequence of ${length}.`);
  if (groupSize > 1 && nextTokenWeight > 0)
    refuse(
      "groupsSeen",
      { groupSize },
      "the context stream of a token sees its whole group, and so the next one; there is no next-token loss of groups.",
    );
  if (sampling?.readout === "next-token" && nextTokenWeight === 0)
    refuse("noNextTokenHead", {}, "the readout next-token needs a next-token head, which is trained with a nextTokenWeight above 0.");
}
