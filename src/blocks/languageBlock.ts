import {
  adaLNZero,
  beside,
  type Context,
  causal,
  type KeyValue,
  type LanguageArchitecture,
  type LanguageNetwork,
  layerParameters,
  namedParameters,
  noiseEmbedding,
  plainContext,
  standardNormal,
  throughLayers,
  type View,
} from "../nn/index.ts";
import type { Key } from "../random.ts";
import {
  add,
  checkpoint,
  concat,
  constant,
  filled,
  gather,
  matmul,
  mul,
  random,
  reduceSum,
  reshape,
  slice,
  softmax,
  square,
  sub,
  type Tensor,
} from "../tensor/index.ts";
import { type BlockParameters, type Estimate, estimateOf, type LabelLikelihood } from "./block.ts";
import type { NoiseLevels } from "./levels.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import type { Targets } from "./targets.ts";

/** What the estimate of a token starts from beside its noisy embedding: the reading's start at the token before, or nothing (the paper). */
export type QueryStart = "previous" | "blank";

/** Noisy embeddings of tokens. */
export interface NoisyTokens {
  /** [batch, tokens, width] */
  readonly z: Tensor;
  /** One for each item. */
  readonly levels: Pick<NoiseLevels, "sigma" | "cIn" | "cNoise">;
}

/** A state with the noise conditioning that its head wants. */
export interface Conditioned {
  /** [batch, tokens, width] */
  readonly state: Tensor;
  /** [batch, condWidth] */
  readonly condition: Tensor;
}

/** What a block makes of the tokens before and of noisy embeddings of those that come. */
export interface Passed {
  readonly reading: Conditioned;
  readonly estimate: Conditioned;
  /** The keys and values that the reading made in each layer. */
  readonly kept: readonly KeyValue[];
}

/** How a pass through the layers is made. */
export interface Pass {
  readonly context: Context;
  /** Keep only the input of each layer for the backward pass. */
  readonly checkpointing?: boolean;
}

export const plainPass: Pass = { context: plainContext };

/** What the layers of a block see, by their number in it. */
export interface BlockViews {
  /** The tokens before; as the layers were built where undefined. */
  readonly reading: (layer: number) => View | undefined;
  /** The estimates, given what the reading made in the same layer. */
  readonly estimate: (layer: number, made: KeyValue) => View;
  /** Of each estimate, where the reading of the token before its group started. */
  readonly before: (start: Tensor) => Tensor;
}

/** Whole sequences: a causal reading, and estimates beside it. */
function wholeSequences(length: number, groupSize: number): BlockViews {
  const reading = groupSize === 1 ? undefined : causal(length, groupSize);
  return { reading: () => reading, estimate: (_, made) => beside(made, groupSize), before: (start) => firstOfGroups(start, groupSize) };
}

/** The first of each group in the place of all: [batch, tokens, width], same out as in. */
function firstOfGroups(x: Tensor, groupSize: number): Tensor {
  if (groupSize === 1) return x;
  const [batch, tokens, width] = x.shape as [number, number, number];
  return ofWholeGroups(slice(reshape(x, [batch, tokens / groupSize, groupSize, width]), 2, 0, 1), groupSize);
}

/** What groups have in common, for each of their tokens: [batch, groups, 1, width] -> [batch, groups · groupSize, width] */
export function ofWholeGroups(x: Tensor, groupSize: number): Tensor {
  const [batch, groups, , width] = x.shape as [number, number, number, number];
  return reshape(
    concat(
      Array.from({ length: groupSize }, () => x),
      2,
    ),
    [batch, groups * groupSize, width],
  );
}

/** Some of a network's layers as a denoiser of the next token's embedding. The same layers read the tokens before and estimate those that come next. */
export interface LanguageBlock {
  readonly parameters: BlockParameters;
  readonly numLayers: number;
  /** int32 [batch, tokens] -> [batch, tokens, width] */
  embed(tokens: Tensor, context: Context): Tensor;
  /** The reading alone. */
  read(start: Tensor, pass: Pass): Conditioned;
  /** The reading and, from where it started and noisy embeddings, the estimates: layer by layer, so that what one layer needs in the backward pass is there together and no longer. */
  readAndEstimate(start: Tensor, noisy: NoisyTokens, pass: Pass, views?: BlockViews): Passed;
  /** What an estimate says of each token, [batch, tokens, vocabSize], alone and together with what the noisy embedding z of level σ says by itself. */
  answer(estimated: Conditioned, z: Tensor, sigma: Tensor): Estimate;
  /** What a reading says of the next tokens. */
  say(reading: Conditioned): Tensor;
}

export interface LanguageBlockOptions {
  readonly vocabSize: number;
  readonly targets: Targets;
  /** cNoise of the conditioning that reads. */
  readonly cleanLevel: number;
  readonly query: QueryStart;
  /** Tokens that are estimated together, each seeing the noisy embeddings of all of them. */
  readonly groupSize: number;
  readonly labelLikelihood: LabelLikelihood;
  /** Whether the block embeds tokens itself. */
  readonly embeds: boolean;
}

/** A network and its noise embedding. */
export interface ConditionedLanguage {
  readonly network: LanguageNetwork;
  readonly noise: ReturnType<typeof noiseEmbedding>;
}

export function conditionedLanguage(architecture: LanguageArchitecture, initialGate: 0 | 1): ConditionedLanguage {
  const { condWidth, epsilon, width } = architecture;
  const conditioning = adaLNZero({ condWidth, epsilon, targetWidth: width, initialGate });
  return { network: architecture.build(conditioning), noise: noiseEmbedding(condWidth, { activated: false }) };
}

export function createLanguageBlock(
  { network, noise }: ConditionedLanguage,
  [first, end]: readonly [number, number],
  { vocabSize, targets, cleanLevel, query, groupSize, labelLikelihood, embeds }: LanguageBlockOptions,
): LanguageBlock {
  const layers = network.layers.slice(first, end);
  const readingCondition = (start: Tensor): Tensor => noise(filled(cleanLevel, [start.shape[0]!]));
  const queryOf = (before: Tensor, { z, levels }: NoisyTokens, context: Context): Tensor => {
    const [batch, tokens] = z.shape as [number, number];
    const blank = constant(new Int32Array(batch * tokens).fill(vocabSize), [batch, tokens], "int32");
    const own = query === "previous" ? before : network.stem(blank, context);
    return add(own, network.target!(mul(overTokens(levels.cIn), z)));
  };
  return {
    parameters: {
      stem: namedParameters({ parts: { ...(embeds && { stem: network.stem }), noise } }),
      layers: layerParameters(layers, first),
      head: namedParameters({ parts: { target: network.target, head: network.head } }),
    },
    numLayers: layers.length,
    embed: network.stem,
    read: (start, { context, checkpointing }) => {
      const view = wholeSequences(start.shape[1]!, groupSize).reading(0);
      const own = { ...context, condition: readingCondition(start), view };
      const state = throughLayers(layers, start, own, checkpointing);
      return { state, condition: own.condition };
    },
    readAndEstimate: (start, noisy, { context, checkpointing }, views = wholeSequences(start.shape[1]!, groupSize)) => {
      const condition = noise(reshape(noisy.levels.cNoise, [start.shape[0]!]));
      const ofReading = { ...context, condition: readingCondition(start) };
      const kept: KeyValue[] = [];
      let states: readonly [Tensor, Tensor] = [start, queryOf(views.before(start), noisy, context)];
      for (const [i, layer] of layers.entries()) {
        const both = (read: Tensor, estimated: Tensor): readonly [Tensor, Tensor] => {
          const record = (made: KeyValue): void => void kept.push(made);
          const next = layer(read, { ...ofReading, record, view: views.reading(i) });
          return [next, layer(estimated, { ...context, condition, view: views.estimate(i, kept[i]!) })];
        };
        states = (checkpointing ? checkpoint(both) : both)(...states);
      }
      return { reading: { state: states[0], condition: ofReading.condition }, estimate: { state: states[1], condition }, kept };
    },
    answer: ({ state, condition }, z, sigma) =>
      estimateOf(network.head(state, { ...plainContext, condition }), z, overTokens(sigma), { targets, labelLikelihood }),
    say: ({ state, condition }) => network.head(state, { ...plainContext, condition }),
  };
}

/** Noisy embeddings of the tokens of a batch at these levels. */
export function noisyEmbeddings(tokens: Tensor, sigma: Tensor, targets: Targets, key: Key): Tensor {
  const y = gather(targets.table, tokens);
  return add(y, mul(overTokens(sigma), random(key, standardNormal, y.shape)));
}

/** The mean embedding D under the softmax of logits: [batch, tokens, vocabSize] -> [batch, tokens, width]. */
export function meanEmbedding(logits: Tensor, targets: Targets): Tensor {
  return matmul(softmax(logits), targets.table);
}

/** ‖D − y‖² of each token: [batch, tokens]. */
export function embeddingErrors(logits: Tensor, tokens: Tensor, targets: Targets): Tensor {
  return reduceSum(square(sub(meanEmbedding(logits, targets), gather(targets.table, tokens))), -1);
}

/** The mean over tokens and batch of losses [batch, tokens], each item weighted by its level. */
export function weightedTokenMean(losses: Tensor, { lossWeight }: Pick<NoiseLevels, "lossWeight">, weighting: LossWeighting): Tensor {
  const [batch, tokens] = losses.shape as [number, number];
  return weightedMean(mul(reduceSum(losses, -1), 1 / tokens), reshape(lossWeight, [batch]), weighting);
}

/** [batch, 1] -> [batch, 1, 1] */
export function overTokens(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, 1]);
}
