import { type AttentionLayer, attentionLayers, cachedAttention, type KeyValue, type Part, type PatternOf, recorded } from "../nn/index.ts";
import type { HostArray, Tensor, TensorType } from "../tensor/index.ts";
import { type Call, float32, int32, type PredictionProgram, type ProgramInputs, predictionProgram } from "../train/index.ts";

const sides = ["key", "value"] as const;

type Slot = `${number}.${(typeof sides)[number]}`;

/**
 * Inputs of a program that reads behind a cache: keys and values of each attention layer, the slots that are filled,
 * and what is read.
 */
export type CacheInput = `past.${Slot}` | "filled" | "fresh" | "positions";
/** Its outputs: the keys and values that the layers made of what was read. */
export type CacheOutput = `made.${Slot}`;

/** The sizes of a cache, the same in all programs that use it. */
export interface CacheShape {
  /** The attention layers are those of this part of a network. */
  readonly part: Part;
  /** Slots: tokens of a sequence. */
  readonly length: number;
  /** Tokens that are read together. */
  readonly groupSize: number;
}

/** A cache in a graph. */
export interface TracedCache {
  /** float32 [length]: 1 for slots that are filled. */
  readonly isFilled: Tensor;
  /**
   * float32 [groupSize]: 0 where the group has no token: it begins with the start alone, in its last place. Undefined
   * for single tokens.
   */
  readonly isFresh: Tensor | undefined;
  /** Of the tokens that are read, int32 [1, groupSize]. */
  readonly positions: Tensor;
  /** Each layer attends to its own slots and to what is read; what it makes of that becomes an output. */
  readonly patternOf: PatternOf;
  /** Keys and values in the slots of a layer, and of what it has read. */
  past(layer: AttentionLayer): KeyValue;
  made(layer: AttentionLayer): KeyValue;
}

/** A program that reads a group of tokens behind those whose keys and values are kept: see {@link KeyValueCache}. */
export interface CachedProgram<In extends string, Out extends string> {
  readonly program: PredictionProgram<In | CacheInput, Out | CacheOutput>;
  readonly length: number;
  readonly groupSize: number;
  /** Width of each kind of slot. */
  readonly slots: ReadonlyMap<Slot, number>;
}

/** Makes such a program from one that is traced with a cache. */
export function cachedProgram<In extends string, Out extends string>(
  name: string,
  { part, length, groupSize }: CacheShape,
  inputs: ProgramInputs<In>,
  trace: (inputs: Readonly<Record<In, Tensor>>, cache: TracedCache, batchSize: number) => Readonly<Record<Out, Tensor>>,
): CachedProgram<In, Out> {
  const layers = attentionLayers(part);
  const slots = new Map(layers.flatMap(({ keyWidth }, i) => sides.map((side): [Slot, number] => [`${i}.${side}`, keyWidth])));
  const cacheInputs = (batchSize: number): Readonly<Record<CacheInput, TensorType>> => {
    const past = [...slots].map(([slot, keyWidth]) => [`past.${slot}`, float32(batchSize, length, keyWidth)] as const);
    return { ...Object.fromEntries(past), filled: float32(length), fresh: float32(groupSize), positions: int32(1, groupSize) };
  };
  const program = predictionProgram<In | CacheInput, Out | CacheOutput>(
    name,
    (batchSize) => joined(inputs(batchSize), cacheInputs(batchSize)),
    (given, batchSize) => {
      const { cache, made } = tracedCache(layers, given, groupSize);
      return joined(trace(given, cache, batchSize), made);
    },
  );
  return { program, length, groupSize, slots };
}

function tracedCache(
  layers: readonly AttentionLayer[],
  given: Readonly<Record<CacheInput, Tensor>>,
  groupSize: number,
): { readonly cache: TracedCache; readonly made: Record<CacheOutput, Tensor> } {
  const made: Record<CacheOutput, Tensor> = {};
  const keyValue = (slotOf: (side: (typeof sides)[number]) => Tensor): KeyValue => ({ key: slotOf("key"), value: slotOf("value") });
  const numberOf = (layer: AttentionLayer): number => layers.indexOf(layer);
  const isFresh = groupSize === 1 ? undefined : given.fresh;
  const { filled: isFilled, positions } = given;
  const past = (layer: AttentionLayer): KeyValue => keyValue((side) => given[`past.${numberOf(layer)}.${side}`]!);
  const cache: TracedCache = {
    isFilled,
    isFresh,
    positions,
    past,
    made: (layer) => keyValue((side) => made[`made.${numberOf(layer)}.${side}`]!),
    patternOf: (layer) =>
      recorded(cachedAttention(past(layer), isFilled, positions, isFresh), (own) => {
        for (const side of sides) made[`made.${numberOf(layer)}.${side}`] = own[side];
      }),
  };
  return { cache, made };
}

/** The keys and values that the attention layers of a program made of each token that was read, on the host. */
export class KeyValueCache<In extends string, Out extends string> {
  readonly cached: CachedProgram<In, Out>;
  readonly batchSize: number;
  private readonly slots: ReadonlyMap<Slot, Float32Array>;

  constructor(cached: CachedProgram<In, Out>, batchSize: number) {
    this.cached = cached;
    this.batchSize = batchSize;
    this.slots = new Map([...cached.slots].map(([slot, width]) => [slot, new Float32Array(batchSize * cached.length * width)]));
  }

  /**
   * Runs the program behind the tokens that are kept.
   *
   * @param position of the last token of the group that is read; those before the first position are none.
   */
  async run(
    call: Call,
    feeds: Readonly<Record<In, HostArray>>,
    position: number,
  ): Promise<Readonly<Record<Out | CacheOutput, Float32Array>>> {
    const { program, length, groupSize } = this.cached;
    const read = Array.from({ length: groupSize }, (_, i) => position - groupSize + 1 + i);
    const own: Readonly<Record<CacheInput, HostArray>> = {
      ...Object.fromEntries([...this.slots].map(([slot, values]) => [`past.${slot}`, values] as const)),
      filled: new Float32Array(length).fill(1, 0, Math.max(0, read[0]!)),
      fresh: Float32Array.from(read, (at) => (at < 0 ? 0 : 1)),
      positions: Int32Array.from(read, (at) => Math.max(0, at)),
    };
    return await call(program, joined(feeds, own));
  }

  /** Runs the program, and keeps what it made. */
  async read(call: Call, feeds: Readonly<Record<In, HostArray>>, position: number): Promise<Readonly<Record<Out, Float32Array>>> {
    const results = await this.run(call, feeds, position);
    this.keep(results, position);
    return results;
  }

  /** Keeps what a run at this position made. */
  keep(results: Readonly<Record<CacheOutput, Float32Array>>, position: number): void {
    const { slots, length, groupSize } = this.cached;
    for (const [slot, width] of slots) {
      const made = results[`made.${slot}`]!;
      const kept = this.slots.get(slot)!;
      for (let i = 0; i < this.batchSize; i++)
        for (let k = Math.max(0, groupSize - 1 - position); k < groupSize; k++)
          kept.set(
            made.subarray((i * groupSize + k) * width, (i * groupSize + k + 1) * width),
            (i * length + position - groupSize + 1 + k) * width,
          );
    }
  }
}

/** Two records as one, with the names of both. */
function joined<A extends string, B extends string, Value>(
  a: Readonly<Record<A, Value>>,
  b: Readonly<Record<B, Value>>,
): Readonly<Record<A | B, Value>> {
  return { ...a, ...b } as Readonly<Record<A | B, Value>>;
}
