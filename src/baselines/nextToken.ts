import {
  type Context,
  inParts,
  type LanguageArchitecture,
  type LanguageNetwork,
  namedParameters,
  plainConditioning,
  plainContext,
  precedingTokens,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { crossEntropy, input, mean, reshape, type Tensor } from "../tensor/index.ts";
import { behindCache, exactLikelihoods, KeyValueCache, type LanguageModel, type Unit } from "../train/index.ts";

/** Ordinary training of a language model: the gradient of the next token's cross-entropy through all layers. */
export function nextToken(architecture: LanguageArchitecture): LanguageModel {
  const { vocabSize, length, numLayers } = architecture;
  const network = architecture.build(plainConditioning(architecture.epsilon));
  const unit = networkUnit(network, numLayers);
  const lossesOf = (tokens: Tensor, context: Context, checkpointing = false): Tensor => {
    const embedded = network.stem(precedingTokens(tokens, vocabSize), context);
    const state = throughLayers(network.layers, embedded, context, checkpointing);
    const size = vocabSize * (tokens.shape[0]! * length);
    return inParts({ tokens: [state, tokens] }, size, ([h, own]) => crossEntropy(network.head(h!, context), own!));
  };
  return {
    name: "end-to-end",
    inputType: architecture.inputType,
    vocabSize,
    length,
    units: [unit],
    independentUnits: true,
    objective: (_unit, { input: tokens }, key, { checkpointing }) => ({
      loss: mean(lossesOf(tokens, trainingContext(fold(key, "dropout")), checkpointing)),
      metrics: {},
    }),
    programs: (batchSize) => ({
      network: { nats: lossesOf(input("tokens", [batchSize, length], "int32"), plainContext) },
      "network next": nextProgram(architecture, network, batchSize),
    }),
    generate: (call, batchSize) => {
      const cache = new KeyValueCache(architecture, batchSize, [...network.layers.keys()]);
      let position = 0;
      return {
        groupSize: 1,
        next: async (before) => {
          const results = await call("network next", { before, ...cache.feeds(position) });
          cache.store(results, position++);
          return results.logits as Float32Array;
        },
      };
    },
    likelihoods: (call, batchSize, text) =>
      exactLikelihoods(text, { length, batchSize }, async (tokens) => ({
        "next token": (await call("network", { tokens })).nats as Float32Array,
      })),
  };
}

/** End-to-end training of the first `numLayers` layers only: what the training memory of one block would buy. */
export function shallowLanguageTwin(build: (numLayers: number) => LanguageArchitecture, numLayers: number): LanguageModel {
  return { ...nextToken(build(numLayers)), name: "shallow-twin" };
}

function networkUnit({ stem, layers, head }: LanguageNetwork, numLayers: number): Unit {
  const named = [...namedParameters({ parts: { stem, layers, head } })].map(([path, tensor]) => [`network/${path}`, tensor] as const);
  return { name: "network", trainable: new Map(named), frozen: new Map(), constants: new Map(), numLayers };
}

/** One more token read, with the keys and values of those before it kept. */
function nextProgram(architecture: LanguageArchitecture, network: LanguageNetwork, batchSize: number): Record<string, Tensor> {
  const { context, made } = behindCache(architecture, batchSize);
  const before = input("before", [batchSize], "int32");
  const embedded = network.stem(reshape(before, [batchSize, 1]), context);
  const state = throughLayers(network.layers, embedded, context);
  return { logits: reshape(network.head(state, context), [batchSize, architecture.vocabSize]), ...made };
}
