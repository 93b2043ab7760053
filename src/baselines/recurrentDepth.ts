import { cachedProgram, exactLikelihoods, KeyValueCache } from "../inference/index.ts";
import {
  plainConditioning,
  plainContext,
  precedingTokens,
  type RecurrentArchitecture,
  type RecurrentNetwork,
  type Stage,
  throughStages,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key, normals, truncatedNormal, uniformAt } from "../random.ts";
import { crossEntropy, input, mean, type Tensor } from "../tensor/index.ts";
import {
  type Call,
  float32,
  type Generation,
  independent,
  int32,
  type LanguageModel,
  predictionProgram,
  standaloneUnit,
  type Unit,
} from "../train/index.ts";

export interface RecurrentTraining {
  /** Recurrences on average in training, and as many as there are in prediction; by default those that the network is made for. */
  readonly meanRecurrence?: number;
  /** Recurrences that the gradient goes back through. */
  readonly backpropDepth?: number;
}

/**
 * Training of recurrent depth as published (Geiping et al. 2025): p recurrences in a step, p − 1 ~ Poisson(rate), the
 * rate log-normal with the wanted mean and a deviation of 1/2 in the logarithm; the gradient goes back through the
 * last eight. The state before those is made without gradient before the step (`prepare`); p is at least eight, as it
 * is anyway 99 times in 100.
 *
 * @see Geiping et al. 2025 (arXiv 2502.05171)
 */
export function recurrent(
  architecture: RecurrentArchitecture,
  { meanRecurrence = architecture.meanRecurrence, backpropDepth = 8 }: RecurrentTraining = {},
): LanguageModel {
  const { vocabSize, length, width } = architecture;
  const network = architecture.build(plainConditioning(architecture.epsilon));
  const { prelude, core, coda } = wholePrograms(architecture, network);
  const next = nextPrograms(architecture, network);

  /** Brings a state through recurrences of whole sequences. */
  const recur = async (call: Call, tokens: Int32Array, start: Float32Array, count: number): Promise<Float32Array> => {
    const { embedded } = await call(prelude, { tokens });
    let state = start;
    for (let step = 0; step < count; step++) state = (await call(core, { state, embedded })).next;
    return state;
  };

  return {
    name: "end-to-end",
    inputType: architecture.inputType,
    vocabSize,
    length,
    units: [networkUnit(network, architecture, { meanRecurrence, backpropDepth })],
    order: independent,
    prepare: async (_unit, batch, key, call) => {
      const tokens = batch.input as Int32Array;
      const keys = Array.from({ length: tokens.length / length }, (_, i) => fold(fold(key, "state"), i));
      const count = Math.max(0, drawnRecurrence(fold(key, "recurrence"), meanRecurrence) - backpropDepth);
      return { state: await recur(call, tokens, initialState(architecture, keys, 0, length), count) };
    },
    objective: (_unit, { input: tokens }, key, memory) => {
      const context = trainingContext(fold(key, "dropout"));
      const embedded = network.prelude(precedingTokens(tokens, vocabSize), context);
      const recurrences = Array.from(
        { length: backpropDepth },
        (): Stage =>
          ([state], [e]) => [network.core(state!, e!, context)],
      );
      const start = input("state", [tokens.shape[0]!, length, width]);
      const [state] = throughStages(recurrences, { states: [start], items: [embedded] }, memory) as [Tensor];
      return { loss: mean(crossEntropy(network.coda(state, context), tokens)), metrics: {} };
    },
    programs: [prelude, core, coda, next.prelude.program, next.core.program, next.coda.program],
    generate: (call, batchSize, keys) => generateRecurrent({ architecture, next, meanRecurrence, call, batchSize, keys }),
    likelihoods: (call, batchSize, text, key) =>
      exactLikelihoods(text, { length, batchSize }, async (tokens, first) => {
        const keys = Array.from({ length: batchSize }, (_, i) => fold(key, first + i));
        const state = await recur(call, tokens, initialState(architecture, keys, 0, length), meanRecurrence);
        return { [`${meanRecurrence} recurrences`]: (await call(coda, { state, tokens })).nats };
      }),
  };
}

/** The state that recurrences start from, [batch, places, width]: a function of one key for each text and, within it, of the place. */
function initialState({ width, stateDeviation }: RecurrentArchitecture, keys: readonly Key[], place: number, places: number): Float32Array {
  const out = new Float32Array(keys.length * places * width);
  for (const [i, own] of keys.entries())
    for (let j = 0; j < places; j++)
      truncatedNormal(fold(own, place + j), out.subarray((i * places + j) * width, (i * places + j + 1) * width), 3);
  return out.map((x) => x * stateDeviation);
}

/** The parts of the network, of whole sequences. */
function wholePrograms({ vocabSize, length, width }: RecurrentArchitecture, network: RecurrentNetwork) {
  return {
    prelude: predictionProgram(
      "prelude",
      (batchSize) => ({ tokens: int32(batchSize, length) }),
      ({ tokens }) => ({ embedded: network.prelude(precedingTokens(tokens, vocabSize), plainContext) }),
    ),
    core: predictionProgram(
      "core",
      (batchSize) => ({ state: float32(batchSize, length, width), embedded: float32(batchSize, length, width) }),
      ({ state, embedded }) => ({ next: network.core(state, embedded, plainContext) }),
    ),
    coda: predictionProgram(
      "coda",
      (batchSize) => ({ state: float32(batchSize, length, width), tokens: int32(batchSize, length) }),
      ({ state, tokens }) => ({ nats: crossEntropy(network.coda(state, plainContext), tokens) }),
    ),
  };
}

/** The same of one more token. */
function nextPrograms({ length, width }: RecurrentArchitecture, { prelude, core, coda }: RecurrentNetwork) {
  const shape = { length, groupSize: 1 };
  return {
    prelude: cachedProgram(
      "prelude next",
      { part: prelude, ...shape },
      (batchSize) => ({ before: int32(batchSize, 1) }),
      ({ before }, { patternOf }) => ({ embedded: prelude(before, { ...plainContext, patternOf }) }),
    ),
    core: cachedProgram(
      "core next",
      { part: core, ...shape },
      (batchSize) => ({ state: float32(batchSize, 1, width), embedded: float32(batchSize, 1, width) }),
      ({ state, embedded }, { patternOf }) => ({ next: core(state, embedded, { ...plainContext, patternOf }) }),
    ),
    coda: cachedProgram(
      "coda next",
      { part: coda, ...shape },
      (batchSize) => ({ state: float32(batchSize, 1, width) }),
      ({ state }, { patternOf }) => ({ logits: coda(state, { ...plainContext, patternOf }) }),
    ),
  };
}

interface RecurrentGeneration {
  readonly architecture: RecurrentArchitecture;
  readonly next: ReturnType<typeof nextPrograms>;
  readonly meanRecurrence: number;
  readonly call: Call;
  readonly batchSize: number;
  readonly keys: readonly Key[];
}

/** Generation token by token; the core keeps keys and values of each recurrence. */
function generateRecurrent({ architecture, next, meanRecurrence, call, batchSize, keys }: RecurrentGeneration): Generation {
  const prelude = new KeyValueCache(next.prelude, batchSize);
  const recurrences = Array.from({ length: meanRecurrence }, () => new KeyValueCache(next.core, batchSize));
  const coda = new KeyValueCache(next.coda, batchSize);
  let position = 0;
  return {
    groupSize: 1,
    next: async (before) => {
      const { embedded } = await prelude.read(call, { before }, position);
      let state: Float32Array = new Float32Array(batchSize * architecture.width);
      state.set(initialState(architecture, keys, position, 1));
      for (const cache of recurrences) state = (await cache.read(call, { state, embedded }, position)).next;
      return (await coda.read(call, { state }, position++)).logits;
    },
  };
}

/** p = 1 + Poisson(rate), ln rate ~ N(ln mean − 1/8, 1/4). */
export function drawnRecurrence(key: Key, mean: number): number {
  const gauss = normals(fold(key, "rate"), 1)[0]!;
  const rate = Math.exp(Math.log(mean) - 0.125 + 0.5 * gauss);
  // As many waiting times of mean 1 as fit into the rate.
  let [events, time] = [0, 0];
  for (;;) {
    time -= Math.log(1 - uniformAt(fold(key, "events"), events));
    if (time > rate) return 1 + events;
    events++;
  }
}

/** All recurrences run forward, and the last of them back. */
function networkUnit(
  { prelude, core, coda }: RecurrentNetwork,
  { parts }: RecurrentArchitecture,
  { meanRecurrence, backpropDepth }: Required<RecurrentTraining>,
): Unit {
  const forward = parts.prelude + parts.coda + parts.core * (meanRecurrence + 1);
  const back = parts.prelude + parts.coda + parts.core * backpropDepth;
  return standaloneUnit("network", { parts: { prelude, core, coda } }, (forward + 2 * back) / 3);
}
