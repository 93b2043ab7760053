import type { TracedCache } from "../inference/index.ts";
import {
  type AttentionLayer,
  type Context,
  cachedAttention,
  causalAttention,
  estimateAttention,
  inChunks,
  type KeyValue,
  type LanguageNetwork,
  type LayerMemory,
  type noiseEmbedding,
  type PatternOf,
  plainContext,
  recorded,
  type Stage,
  throughLayers,
  throughStages,
} from "../nn/index.ts";
import { add, concat, constant, crossEntropy, filled, mul, reshape, slice, type Tensor } from "../tensor/index.ts";
import type { Block } from "./cut.ts";
import { type LabelLikelihood, type Scores, scoresOf } from "./labelLikelihood.ts";
import { type NoisyTokens, overTokens } from "./noisyTokens.ts";
import type { Targets } from "./targets.ts";

/** The start of an estimate beside its noisy embedding: the start of the context stream at the token before, or nothing (the paper). */
export type QueryStart = "previous" | "blank";

/** The parts of a language network's stem and head that blocks share by their policy. */
export type LanguageStem = Pick<LanguageNetwork, "stem"> & { readonly noise: ReturnType<typeof noiseEmbedding> };
export type LanguageHead = Pick<LanguageNetwork, "target" | "head">;

/** A state with the noise conditioning that its head takes. */
export interface StreamState {
  /** [batch, tokens, width] */
  readonly state: Tensor;
  /** [batch, condWidth] */
  readonly condition: Tensor;
}

/** A pass through the layers. */
export interface Pass {
  readonly base: Context;
  readonly memory?: LayerMemory;
}

export const plainPass: Pass = { base: plainContext };

/** Attention patterns of both streams. In each layer the context stream goes first. */
export interface StreamPatterns {
  readonly context: PatternOf;
  /** Estimates attend to the keys and values of the context stream in the same layer. */
  readonly estimates: PatternOf;
  /** Of the tokens that are estimated: see {@link Context}. */
  readonly positions?: Tensor | undefined;
  /** The start of the context stream at the token before the group of each estimate. */
  before(start: Tensor): Tensor;
}

export interface StreamOptions {
  readonly vocabSize: number;
  readonly targets: Targets;
  /** cNoise of the conditioning of the context stream. */
  readonly cleanLevel: number;
  readonly query: QueryStart;
  /** Tokens that are estimated together, each attending to the noisy embeddings of all of them. */
  readonly groupSize: number;
  readonly labelLikelihood: LabelLikelihood;
}

/**
 * Some of a network's layers as a denoiser of the next token's embedding, by two streams through the same layers:
 * clean tokens (the context stream), and estimates of those that come next. Two passes rather than one over a
 * sequence of twice the length: no score is computed that the mask would hide, and the context stream of the last
 * layer ends at its keys and values.
 *
 * @see DiffusionBlocks (arXiv 2506.14202), Appendix E.4.
 */
export class ContextStreamBlock {
  readonly block: Block<LanguageStem, LanguageHead>;
  readonly options: StreamOptions;

  constructor(block: Block<LanguageStem, LanguageHead>, options: StreamOptions) {
    this.block = block;
    this.options = options;
  }

  /** int32 [batch, tokens] -> [batch, tokens, width] */
  embed(tokens: Tensor, base: Context): Tensor {
    return this.block.stem.stem(tokens, base);
  }

  /** The context stream alone, of whole sequences. */
  context(start: Tensor, { base, memory }: Pass): StreamState {
    const { groupSize } = this.options;
    const condition = this.cleanCondition(start);
    const pattern = groupSize === 1 ? undefined : causalAttention(start.shape[1]!, groupSize);
    const patternOf: PatternOf = (_, own) => pattern ?? own;
    return { state: throughLayers(this.block.layers, start, { ...base, condition, patternOf }, memory), condition };
  }

  /** Both streams, layer by layer: what the backward pass of a layer needs is there together and no longer. */
  streams(
    start: Tensor,
    noisy: NoisyTokens,
    { base, memory }: Pass,
    patterns: StreamPatterns = wholeSequences(start.shape[1]!, this.options.groupSize),
  ): { readonly context: StreamState; readonly estimates: StreamState } {
    const condition = this.block.stem.noise(reshape(noisy.levels.cNoise, [start.shape[0]!]));
    const ofContext = { ...base, condition: this.cleanCondition(start), patternOf: patterns.context };
    const ofEstimates = { ...base, condition, patternOf: patterns.estimates };
    const both = this.block.layers.map(
      (layer): Stage =>
        ([context, estimates], [clean, noise]) => [
          layer(context!, { ...ofContext, condition: clean }),
          layer(estimates!, { ...ofEstimates, condition: noise }),
        ],
    );
    const values = {
      states: [start, this.query(patterns.before(start), noisy, { ...base, positions: patterns.positions })],
      items: [ofContext.condition, condition],
    };
    const [context, estimates] = throughStages(both, values, memory) as [Tensor, Tensor];
    return { context: { state: context, condition: ofContext.condition }, estimates: { state: estimates, condition } };
  }

  /** Logits of estimates, [batch, tokens, vocabSize], alone and together with the log-likelihood of z at level σ. */
  scores({ state, condition }: StreamState, z: Tensor, sigma: Tensor): Scores {
    return scoresOf(this.block.head.head(state, { ...plainContext, condition }), z, overTokens(sigma), this.options);
  }

  /**
   * A function of the scores of each token, a chunk of tokens at a time where the logits are many.
   *
   * @param f scores and tokens -> [batch, tokens, …]
   */
  ofScores(
    { state, condition }: StreamState,
    { z, levels }: NoisyTokens,
    tokens: Tensor,
    f: (scores: Scores, tokens: Tensor) => Tensor,
  ): Tensor {
    return inChunks(
      { tokens: [state, z, tokens], items: [condition, levels.sigma] },
      this.logitsOf(tokens),
      ([h, noisy, own], [c, sigma]) => f(this.scores({ state: h!, condition: c! }, noisy!, sigma!), own!),
    );
  }

  /** Logits of the next tokens from the context stream. */
  nextToken({ state, condition }: StreamState): Tensor {
    return this.block.head.head(state, { ...plainContext, condition });
  }

  /** −ln p of each token by the context stream, [batch, tokens]. */
  nextTokenLosses({ state, condition }: StreamState, tokens: Tensor): Tensor {
    return inChunks({ tokens: [state, tokens], items: [condition] }, this.logitsOf(tokens), ([h, own], [c]) =>
      crossEntropy(this.nextToken({ state: h!, condition: c! }), own!),
    );
  }

  /** Number of logits of these tokens. */
  private logitsOf(tokens: Tensor): number {
    return tokens.shape[0]! * tokens.shape[1]! * this.options.vocabSize;
  }

  private cleanCondition(start: Tensor): Tensor {
    return this.block.stem.noise(filled(this.options.cleanLevel, [start.shape[0]!]));
  }

  private query(before: Tensor, { z, levels }: NoisyTokens, base: Context): Tensor {
    const { query, vocabSize } = this.options;
    const [batch, tokens] = z.shape as [number, number];
    const blank = constant(new Int32Array(batch * tokens).fill(vocabSize), [batch, tokens], "int32");
    const own = query === "previous" ? before : this.embed(blank, base);
    return add(own, this.block.head.target!(mul(overTokens(levels.cIn), z)));
  }
}

/** Whole sequences: a causal context stream, and estimates beside it. */
function wholeSequences(length: number, groupSize: number): StreamPatterns {
  const causal = groupSize === 1 ? undefined : causalAttention(length, groupSize);
  const made = new Map<AttentionLayer, KeyValue>();
  return {
    context: (layer, own) => recorded(causal ?? own, (keyValue) => made.set(layer, keyValue)),
    estimates: (layer) => estimateAttention(made.get(layer)!, groupSize),
    before: (start) => firstOfGroups(start, groupSize),
  };
}

/** One group of tokens behind a cache, and estimates of the next at the positions `estimated`, int32 [1, groupSize]. */
export function behindCache(cache: TracedCache, estimated: Tensor): StreamPatterns {
  const isFilled = concat([cache.isFilled, cache.isFresh ?? filled(1, [1])], 0);
  const [, groupSize] = estimated.shape as [number, number];
  return {
    positions: estimated,
    context: cache.patternOf,
    estimates: (layer) => cachedAttention(joined(cache.past(layer), cache.made(layer)), isFilled, estimated),
    before: (start) => {
      const [batch, , width] = start.shape as [number, number, number];
      return forWholeGroups(reshape(slice(start, 1, groupSize - 1, groupSize), [batch, 1, 1, width]), groupSize);
    },
  };
}

function joined(a: KeyValue, b: KeyValue): KeyValue {
  return { key: concat([a.key, b.key], 1), value: concat([a.value, b.value], 1) };
}

/** The first of each group in the place of all: [batch, tokens, width], same out as in. */
function firstOfGroups(x: Tensor, groupSize: number): Tensor {
  if (groupSize === 1) return x;
  const [batch, tokens, width] = x.shape as [number, number, number];
  return forWholeGroups(slice(reshape(x, [batch, tokens / groupSize, groupSize, width]), 2, 0, 1), groupSize);
}

/** A row for each group, repeated for its tokens: [batch, groups, 1, width] -> [batch, groups · groupSize, width] */
function forWholeGroups(x: Tensor, groupSize: number): Tensor {
  const [batch, groups, , width] = x.shape as [number, number, number, number];
  const rows = Array.from({ length: groupSize }, () => x);
  return reshape(concat(rows, 2), [batch, groups * groupSize, width]);
}
