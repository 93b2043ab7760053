import { cachedProgram, exactLikelihoods, KeyValueCache } from "../inference/index.ts";
import {
  type ClassifierArchitecture,
  type Context,
  inChunks,
  type LanguageArchitecture,
  type Layer,
  type LayerMemory,
  plainConditioning,
  plainContext,
  precedingTokens,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { add, crossEntropy, mean, stopGradient, sub, type Tensor } from "../tensor/index.ts";
import {
  assignLayers,
  type Classifier,
  classAccuracy,
  independent,
  int32,
  type LanguageModel,
  predictionProgram,
  standaloneUnit,
} from "../train/index.ts";

export interface LocalUpdatesOptions {
  /** Blocks of layers, each with a loss of its own. */
  readonly numBlocks: number;
  readonly layersPerBlock?: readonly number[] | undefined;
}

/** [first, end) of each block's layers. */
type Ranges = readonly (readonly [first: number, end: number])[];

/**
 * One forward pass, and a local update for each block: the gradient of a block's loss stops at its seam with the block before, whose
 * output at this very step it reads. Blocks answer by boosting: the logits of block b are those of block b − 1, stopped, plus those of
 * its own head, which starts at zero,
 *
 *   ℓ_b = stop(ℓ_{b−1}) + head_b(h_b),   h_b = layers_b(stop(h_{b−1})),   loss_b = −ln softmax(ℓ_b)[target],
 *
 * so that at the start each block answers as the one before it. All layers make the last answer: depth is used, as it is not by blocks
 * that share nothing. The activations of a block are needed until its gradients are there and no longer, so memory is that of one block's
 * activations and of all parameters.
 *
 * @throws {PartitionError} if the layers cannot be cut.
 * @see Belilovsky, Eickenberg, Oyallon: "Decoupled Greedy Learning of CNNs", ICML 2020; Huang et al.: "Learning Deep ResNet Blocks
 *   Sequentially using Boosting Theory", ICML 2018
 */
export function localUpdates(architecture: ClassifierArchitecture, options: LocalUpdatesOptions): Classifier {
  const { inputType, numClasses, numLayers } = architecture;
  const ranges = assignLayers(numLayers, options.numBlocks, options.layersPerBlock);
  const { stem, layers, head, earlierHeads } = withHeads(architecture, ranges);
  const heads = [...earlierHeads, head];
  /** Of each block, after it. */
  const logitsOf = (images: Tensor, context: Context, memory?: LayerMemory): Tensor[] => {
    const states = throughBlocks(layers, ranges, stem(images, undefined, context), context, memory);
    return boosted(states.map((h, b) => heads[b]!(h, context)));
  };
  const whole = predictionProgram(
    "network",
    (batchSize) => ({ input: inputType(batchSize) }),
    ({ input }) => ({ logits: logitsOf(input, plainContext).at(-1)! }),
  );
  return {
    name: "local-updates",
    inputType,
    numClasses,
    isRandom: false,
    units: [standaloneUnit("network", { parts: { stem, layers, head, earlierHeads } }, numLayers)],
    order: independent,
    objective: (_unit, { input, labels }, key, memory) => {
      const logits = logitsOf(input, trainingContext(fold(key, "dropout")), memory);
      const losses = logits.map((own) => mean(crossEntropy(own, labels)));
      return { loss: lastAndLocal(losses), metrics: { accuracy: classAccuracy(logits.at(-1)!, labels), ...ofBlocks(losses) } };
    },
    programs: [whole],
    predict: async (call, input) => (await call(whole, { input })).logits,
  };
}

/** {@link localUpdates} of a language model: each block's loss is the next token's cross-entropy. */
export function localTokenUpdates(architecture: LanguageArchitecture, options: LocalUpdatesOptions): LanguageModel {
  const { vocabSize, length, numLayers, inputType } = architecture;
  const ranges = assignLayers(numLayers, options.numBlocks, options.layersPerBlock);
  const { stem, layers, head, earlierHeads } = withHeads(architecture, ranges);
  const heads = [...earlierHeads, head];
  const statesOf = (before: Tensor, context: Context, memory?: LayerMemory): Tensor[] =>
    throughBlocks(layers, ranges, stem(before, context), context, memory);
  /**
   * −ln p of each token by each block, [batch, length]. The logits of the blocks before are made again rather than kept: those of a large
   * vocabulary are the largest values of a step.
   */
  const lossesOf = (tokens: Tensor, context: Context, memory?: LayerMemory): Tensor[] => {
    const states = statesOf(precedingTokens(tokens, vocabSize), context, memory);
    const size = vocabSize * (tokens.shape[0]! * length);
    return states.map((_, b) => {
      const upTo = states.slice(0, b + 1).map((h, j) => (j < b ? stopGradient(h) : h));
      return inChunks({ tokens: [...upTo, tokens] }, size, (parts) =>
        crossEntropy(boosted(parts.slice(0, -1).map((h, j) => heads[j]!(h, context))).at(-1)!, parts.at(-1)!),
      );
    });
  };
  const names = ranges.map((_, b) => `block ${b}`);
  const measured = predictionProgram(
    "network",
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => Object.fromEntries(lossesOf(tokens, plainContext).map((nats, b) => [names[b]!, nats])),
  );
  const next = cachedProgram(
    "network next",
    { part: layers, length, groupSize: 1 },
    (batchSize) => ({ before: int32(batchSize, 1) }),
    ({ before }, { patternOf, positions }) => {
      const context = { ...plainContext, patternOf, positions };
      return { logits: boosted(statesOf(before, context).map((h, b) => heads[b]!(h, context))).at(-1)! };
    },
  );
  return {
    name: "local-updates",
    inputType,
    vocabSize,
    length,
    units: [standaloneUnit("network", { parts: { stem, layers, head, earlierHeads } }, numLayers)],
    order: independent,
    objective: (_unit, { input: tokens }, key, memory) => {
      const losses = lossesOf(tokens, trainingContext(fold(key, "dropout")), memory).map((nats) => mean(nats));
      return { loss: lastAndLocal(losses), metrics: ofBlocks(losses) };
    },
    programs: [measured, next.program],
    generate: (call, batchSize) => {
      const cache = new KeyValueCache(next, batchSize);
      let position = 0;
      return { groupSize: 1, next: async (before) => (await cache.read(call, { before }, position++)).logits };
    },
    likelihoods: (call, batchSize, text) =>
      exactLikelihoods(text, { length, batchSize }, async (tokens) => {
        const nats = await call(measured, { tokens });
        const last = names.at(-1)!;
        return { "next token": nats[last]!, ...Object.fromEntries(names.slice(0, -1).map((name) => [`up to ${name}`, nats[name]!])) };
      }),
  };
}

/** A network, and a head of its own for each block before the last. */
function withHeads<Network extends { readonly head: unknown }>(
  { build, epsilon }: { build(conditioning: ReturnType<typeof plainConditioning>): Network; readonly epsilon: number },
  ranges: Ranges,
): Network & { readonly earlierHeads: readonly Network["head"][] } {
  const conditioning = plainConditioning(epsilon);
  return { ...build(conditioning), earlierHeads: ranges.slice(1).map(() => build(conditioning).head) };
}

/** The state after each block; no gradient crosses a seam. */
function throughBlocks(layers: readonly Layer[], ranges: Ranges, start: Tensor, context: Context, memory?: LayerMemory): Tensor[] {
  const states: Tensor[] = [];
  for (const [first, end] of ranges) {
    const from = states.length === 0 ? start : stopGradient(states.at(-1)!);
    states.push(throughLayers(layers.slice(first, end), from, context, memory));
  }
  return states;
}

/** ℓ_b = stop(ℓ_{b−1}) + own_b */
function boosted(own: readonly Tensor[]): Tensor[] {
  const sums: Tensor[] = [];
  for (const logits of own) sums.push(sums.length === 0 ? logits : add(stopGradient(sums.at(-1)!), logits));
  return sums;
}

/** The value of the last loss, with the gradient of the sum of all. */
function lastAndLocal(losses: readonly Tensor[]): Tensor {
  return losses.slice(0, -1).reduce((sum, loss) => add(sum, sub(loss, stopGradient(loss))), losses.at(-1)!);
}

/** The losses of the blocks before the last, as metrics. */
function ofBlocks(losses: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(losses.slice(0, -1).map((loss, b) => [`loss block-${b}`, loss]));
}
