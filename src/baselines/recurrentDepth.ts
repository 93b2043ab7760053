import {
  type Context,
  namedParameters,
  plainConditioning,
  plainContext,
  precedingTokens,
  type RecurrentArchitecture,
  type RecurrentNetwork,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key, normal, truncatedNormal, uniformAt } from "../random.ts";
import { checkpoint, crossEntropy, input, mean, reshape, type Tensor } from "../tensor/index.ts";
import { behindCache, type CallProgram, exactLikelihoods, KeyValueCache, type LanguageModel, type Unit } from "../train/index.ts";

export interface RecurrentTraining {
  /** Recurrences on average in training, and as many as there are in prediction. */
  readonly meanRecurrence?: number;
  /** Recurrences that the gradient goes back through. */
  readonly backpropDepth?: number;
}

/**
 * Training of recurrent depth as published (Geiping et al. 2025): p recurrences in a step, p − 1 ~ Poisson(rate), rate log-normal with the wanted mean and a deviation of 1/2 in the logarithm; the gradient goes back through the last eight.
 * The state before those is made without gradient before the step (`prepare`); p is at least eight, which it is anyway 99 times in 100.
 */
export function recurrent(
  architecture: RecurrentArchitecture,
  { meanRecurrence = 32, backpropDepth = 8 }: RecurrentTraining = {},
): LanguageModel {
  const { vocabSize, length, width, parts, stateDeviation } = architecture;
  const network = architecture.build(plainConditioning(architecture.epsilon));
  const unit = networkUnit(network, architecture, { meanRecurrence, backpropDepth });
  const stateShape = (batchSize: number): [number, number, number] => [batchSize, length, width];

  /** The state that recurrences start from: a function of one key for each text and, within it, of the place. */
  const initialState = (keys: readonly Key[], place: number, places: number): Float32Array => {
    const out = new Float32Array(keys.length * places * width);
    for (const [i, own] of keys.entries())
      for (let j = 0; j < places; j++)
        truncatedNormal(fold(own, place + j), out.subarray((i * places + j) * width, (i * places + j + 1) * width), 3);
    return out.map((x) => x * stateDeviation);
  };

  const recur = async (call: CallProgram, tokens: Int32Array, start: Float32Array, count: number): Promise<Float32Array> => {
    const { embedded } = await call("prelude", { tokens });
    let state = start;
    for (let step = 0; step < count; step++) state = (await call("core", { state, embedded: embedded! })).next as Float32Array;
    return state;
  };

  return {
    name: "end-to-end",
    inputType: architecture.inputType,
    vocabSize,
    length,
    units: [unit],
    independentUnits: true,
    prepare: async (_unit, batch, key, call) => {
      const tokens = batch.input as Int32Array;
      const keys = Array.from({ length: tokens.length / length }, (_, i) => fold(fold(key, "state"), i));
      const count = Math.max(0, drawnRecurrence(fold(key, "recurrence"), meanRecurrence) - backpropDepth);
      return { state: await recur(call, tokens, initialState(keys, 0, length), count) };
    },
    objective: (_unit, { input: tokens }, key, { checkpointing }) => {
      const context = trainingContext(fold(key, "dropout"));
      const embedded = network.prelude(precedingTokens(tokens, vocabSize), context);
      const once = (state: Tensor, e: Tensor, own: Context): Tensor => network.core(state, e, own);
      const step = checkpointing ? checkpoint(once) : once;
      let state: Tensor = input("state", stateShape(tokens.shape[0]!));
      for (let i = 0; i < backpropDepth; i++) state = step(state, embedded, context);
      return { loss: mean(crossEntropy(network.coda(state, context), tokens)), metrics: {} };
    },
    programs: (batchSize) => {
      const tokens = input("tokens", [batchSize, length], "int32");
      const state = input("state", stateShape(batchSize));
      return {
        prelude: { embedded: network.prelude(precedingTokens(tokens, vocabSize), plainContext) },
        core: { next: network.core(state, input("embedded", stateShape(batchSize)), plainContext) },
        coda: { nats: crossEntropy(network.coda(state, plainContext), tokens) },
        ...nextPrograms(architecture, network, batchSize),
      };
    },
    generate: (call, batchSize, keys) => {
      const cacheOf = (layers: number): KeyValueCache => new KeyValueCache(architecture, batchSize, [...Array(layers).keys()]);
      const [prelude, coda] = [cacheOf(parts.prelude), cacheOf(parts.coda)];
      const core = Array.from({ length: meanRecurrence }, () => cacheOf(parts.core));
      let position = 0;
      const ask = async (
        program: string,
        cache: KeyValueCache,
        feeds: Record<string, Float32Array | Int32Array>,
      ): ReturnType<CallProgram> => {
        const results = await call(program, { ...feeds, ...cache.feeds(position) });
        cache.store(results, position);
        return results;
      };
      return {
        groupSize: 1,
        next: async (before) => {
          const { embedded } = await ask("prelude next", prelude, { before });
          let state: Float32Array = new Float32Array(batchSize * width);
          state.set(initialState(keys, position, 1));
          for (const cache of core)
            state = (await ask("core next", cache, { state, embedded: embedded as Float32Array })).next as Float32Array;
          const { logits } = await ask("coda next", coda, { state });
          position++;
          return logits as Float32Array;
        },
      };
    },
    likelihoods: (call, batchSize, text, key) =>
      exactLikelihoods(text, { length, batchSize }, async (tokens, first) => {
        const keys = Array.from({ length: batchSize }, (_, i) => fold(key, first + i));
        const state = await recur(call, tokens, initialState(keys, 0, length), meanRecurrence);
        return { [`${meanRecurrence} recurrences`]: (await call("coda", { state, tokens })).nats as Float32Array };
      }),
  };
}

/** One more token behind those whose keys and values are kept: the core keeps some for each recurrence. */
function nextPrograms(
  architecture: RecurrentArchitecture,
  network: RecurrentNetwork,
  batchSize: number,
): Record<string, Record<string, Tensor>> {
  const { vocabSize, width } = architecture;
  const state = input("state", [batchSize, 1, width]);
  const before = reshape(input("before", [batchSize], "int32"), [batchSize, 1]);
  const behind = (run: (context: Context) => Record<string, Tensor>): Record<string, Tensor> => {
    const { context, made } = behindCache(architecture, batchSize);
    return { ...run(context), ...made };
  };
  return {
    "prelude next": behind((context) => ({ embedded: network.prelude(before, context) })),
    "core next": behind((context) => ({ next: network.core(state, input("embedded", [batchSize, 1, width]), context) })),
    "coda next": behind((context) => ({ logits: reshape(network.coda(state, context), [batchSize, vocabSize]) })),
  };
}

/** p = 1 + Poisson(rate), ln rate ~ N(ln mean − 1/8, 1/4). */
export function drawnRecurrence(key: Key, mean: number): number {
  const gauss = new Float32Array(1);
  normal(fold(key, "rate"), gauss);
  const rate = Math.exp(Math.log(mean) - 0.125 + 0.5 * gauss[0]!);
  // As many waiting times of mean 1 as fit into the rate.
  let [events, time] = [0, 0];
  for (;;) {
    time -= Math.log(1 - uniformAt(fold(key, "events"), events));
    if (time > rate) return 1 + events;
    events++;
  }
}

/** A layer that is run forward and back counts as one, and forward alone as a third. */
function networkUnit(
  { prelude, core, coda }: RecurrentNetwork,
  { parts }: RecurrentArchitecture,
  { meanRecurrence, backpropDepth }: Required<RecurrentTraining>,
): Unit {
  const named = [...namedParameters({ parts: { prelude, core, coda } })].map(([path, tensor]) => [`network/${path}`, tensor] as const);
  const forward = parts.prelude + parts.coda + parts.core * (meanRecurrence + 1);
  const back = parts.prelude + parts.coda + parts.core * backpropDepth;
  return {
    name: "network",
    trainable: new Map(named),
    frozen: new Map(),
    constants: new Map(),
    numLayers: (forward + 2 * back) / 3,
  };
}
