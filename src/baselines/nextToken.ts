import { cachedProgram, exactLikelihoods, exampleInput, KeyValueCache, readLogits } from "../inference/index.ts";
import {
  type Context,
  inChunks,
  type LanguageArchitecture,
  type LayerMemory,
  plainConditioning,
  plainContext,
  precedingTokens,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { add, crossEntropy, mean, mul, type Tensor } from "../tensor/index.ts";
import { independent, int32, type LanguageModel, predictionProgram, standaloneUnit } from "../train/index.ts";

/** Ordinary training of a language model: the gradient of the next token's cross-entropy through all layers. */
export function nextToken(architecture: LanguageArchitecture): LanguageModel {
  return networksOf("end-to-end", architecture, ["network"]);
}

/**
 * As many networks as `numNetworks`, each trained end to end from its own start, answering together by the mean of their logits: what the
 * layer evaluations, the parameters and the training memory of blocks buy without any denoising.
 */
export function nextTokenEnsemble(architecture: LanguageArchitecture, numNetworks: number): LanguageModel {
  const names = Array.from({ length: numNetworks }, (_, i) => `twin-${i}`);
  return networksOf("twin-ensemble", architecture, names);
}

/** Language models that are trained independently, and answer together by the mean of their logits. */
function networksOf(name: string, architecture: LanguageArchitecture, names: readonly string[]): LanguageModel {
  const { vocabSize, length } = architecture;
  const networks = names.map((own) => nextTokenNetwork(own, architecture));
  const units = networks.map(({ unit }) => unit);
  const together = predictionProgram(
    names.length === 1 ? names[0]! : "networks",
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => ({ logits: meanOf(networks.map(({ logitsOf }) => logitsOf(tokens))) }),
  );
  const nats = predictionProgram(
    `${names.length === 1 ? names[0]! : "networks"} nats`,
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => ({ nats: crossEntropy(meanOf(networks.map(({ logitsOf }) => logitsOf(tokens))), tokens) }),
  );
  const generate: LanguageModel["generate"] = (call, batchSize) => {
    const caches = networks.map(({ next }) => new KeyValueCache(next, batchSize));
    let position = 0;
    return {
      groupSize: 1,
      next: async (before) => {
        const all: Float32Array[] = [];
        for (const cache of caches) all.push((await cache.read(call, { before }, position)).logits);
        position++;
        return all.length === 1 ? all[0]! : all[0]!.map((_, i) => all.reduce((sum, one) => sum + one[i]!, 0) / all.length);
      },
    };
  };
  return {
    name,
    inputType: architecture.inputType,
    vocabSize,
    length,
    units,
    order: independent,
    objective: (unit, { input: tokens }, key, memory) => ({
      loss: mean(networks[units.indexOf(unit)]!.lossesOf(tokens, trainingContext(fold(key, "dropout")), memory)),
      metrics: {},
    }),
    programs: [...networks.flatMap(({ whole, next }) => [whole, next.program]), ...(names.length > 1 ? [nats] : [])],
    generate,
    exported: async () => ({
      blocks: [],
      whole: together,
      about: { vocabSize },
      example: async (call, batchSize, key) => {
        const tokens = exampleInput(architecture.inputType(batchSize), key, vocabSize) as Int32Array;
        const keys = Array.from({ length: batchSize }, () => key);
        const read = await readLogits({ generation: generate(call, batchSize, keys), tokens, keys, length, vocabSize });
        return { count: batchSize, inputs: { tokens }, outputs: { logits: read } };
      },
    }),
    likelihoods: (call, batchSize, text, _key, unit) => {
      const program = unit === undefined && networks.length > 1 ? nats : networks[unit === undefined ? 0 : units.indexOf(unit)]!.whole;
      return exactLikelihoods(text, { length, batchSize }, async (tokens) => ({ "next token": (await call(program, { tokens })).nats }));
    },
  };
}

/** One network of its own parameters, trained end to end. */
function nextTokenNetwork(name: string, architecture: LanguageArchitecture) {
  const { vocabSize, length, numLayers } = architecture;
  const { stem, layers, head } = architecture.build(plainConditioning(architecture.epsilon));
  const stateOf = (tokens: Tensor, context: Context, memory?: LayerMemory): Tensor =>
    throughLayers(layers, stem(precedingTokens(tokens, vocabSize), context), context, memory);
  /** −ln p of each token, [batch, length]. */
  const lossesOf = (tokens: Tensor, context: Context, memory?: LayerMemory): Tensor => {
    const size = vocabSize * (tokens.shape[0]! * length);
    const rows = { tokens: [stateOf(tokens, context, memory), tokens] };
    return inChunks(rows, size, ([h, own]) => crossEntropy(head(h!, context), own!));
  };
  const whole = predictionProgram(
    name,
    (batchSize) => ({ tokens: int32(batchSize, length) }),
    ({ tokens }) => ({ nats: lossesOf(tokens, plainContext) }),
  );
  const next = cachedProgram(
    `${name} next`,
    { part: layers, length, groupSize: 1 },
    (batchSize) => ({ before: int32(batchSize, 1) }),
    ({ before }, { patternOf, positions }) => {
      const context = { ...plainContext, patternOf, positions };
      return { logits: head(throughLayers(layers, stem(before, context), context), context) };
    },
  );
  const logitsOf = (tokens: Tensor): Tensor => head(stateOf(tokens, plainContext), plainContext);
  return { unit: standaloneUnit(name, { parts: { stem, layers, head } }, numLayers), lossesOf, logitsOf, whole, next };
}

function meanOf(all: readonly Tensor[]): Tensor {
  return all.length === 1 ? all[0]! : mul(all.reduce(add), 1 / all.length);
}

/** End-to-end training of the first `numLayers` layers only: the network that the training memory of one block would buy. */
export function shallowLanguageTwin(build: (numLayers: number) => LanguageArchitecture, numLayers: number): LanguageModel {
  return { ...nextToken(build(numLayers)), name: "shallow-twin" };
}
