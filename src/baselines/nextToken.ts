import { cachedProgram, exactLikelihoods, exampleInput, KeyValueCache, readLogits } from "../inference/index.ts";
import {
  type Context,
  inChunks,
  type LanguageArchitecture,
  plainConditioning,
  plainContext,
  precedingTokens,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { crossEntropy, mean, type Tensor } from "../tensor/index.ts";
import { independent, int32, type LanguageModel, predictionProgram, standaloneUnit } from "../train/index.ts";

/** Ordinary training of a language model: the gradient of the next token's cross-entropy through all layers. */
export function nextToken(architecture: LanguageArchitecture): LanguageModel {
  const { vocabSize, length, numLayers } = architecture;
  const { stem, layers, head } = architecture.build(plainConditioning(architecture.epsilon));
  /** −ln p of each token, [batch, length]. */
  const lossesOf = (tokens: Tensor, context: Context, checkpointing = false): Tensor => {
    const state = throughLayers(layers, stem(precedingTokens(tokens, vocabSize), context), context, checkpointing);
    const size = vocabSize * (tokens.shape[0]! * length);
    return inChunks({ tokens: [state, tokens] }, size, ([h, own]) => crossEntropy(head(h!, context), own!));
  };
  const whole = predictionProgram(
    "network",
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => ({ nats: lossesOf(tokens, plainContext) }),
  );
  const next = cachedProgram(
    "network next",
    { part: layers, length, groupSize: 1 },
    (batchSize) => ({ before: int32(batchSize, 1) }),
    ({ before }, { patternOf }) => {
      const context = { ...plainContext, patternOf };
      return { logits: head(throughLayers(layers, stem(before, context), context), context) };
    },
  );
  const logits = predictionProgram(
    "network",
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => ({
      logits: head(throughLayers(layers, stem(precedingTokens(tokens, vocabSize), plainContext), plainContext), plainContext),
    }),
  );
  const generate: LanguageModel["generate"] = (call, batchSize) => {
    const cache = new KeyValueCache(next, batchSize);
    let position = 0;
    return {
      groupSize: 1,
      next: async (before) => (await cache.read(call, { before }, position++)).logits,
    };
  };
  return {
    name: "end-to-end",
    inputType: architecture.inputType,
    vocabSize,
    length,
    units: [standaloneUnit("network", { parts: { stem, layers, head } }, numLayers)],
    order: independent,
    objective: (_unit, { input: tokens }, key, { checkpointing }) => ({
      loss: mean(lossesOf(tokens, trainingContext(fold(key, "dropout")), checkpointing)),
      metrics: {},
    }),
    programs: [whole, next.program],
    generate,
    exported: async () => ({
      blocks: [],
      whole: logits,
      about: { vocabSize },
      example: async (call, batchSize, key) => {
        const tokens = exampleInput(architecture.inputType(batchSize), key, vocabSize) as Int32Array;
        const keys = Array.from({ length: batchSize }, () => key);
        const read = await readLogits({ generation: generate(call, batchSize, keys), tokens, keys, length, vocabSize });
        return { count: batchSize, inputs: { tokens }, outputs: { logits: read } };
      },
    }),
    likelihoods: (call, batchSize, text) =>
      exactLikelihoods(text, { length, batchSize }, async (tokens) => ({ "next token": (await call(whole, { tokens })).nats })),
  };
}

/** End-to-end training of the first `numLayers` layers only: the network that the training memory of one block would buy. */
export function shallowLanguageTwin(build: (numLayers: number) => LanguageArchitecture, numLayers: number): LanguageModel {
  return { ...nextToken(build(numLayers)), name: "shallow-twin" };
}
