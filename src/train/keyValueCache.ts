import { type Context, following, type KeyValue, type LanguageArchitecture, plainContext, type View } from "../nn/index.ts";
import { type HostArray, input, type Tensor } from "../tensor/index.ts";

type CacheShape = Pick<LanguageArchitecture, "length" | "keyWidth">;

/** The symbols of a program that reads one more token, or a group of them, behind those whose keys and values are kept: see `following`. */
export interface CacheInputs {
  readonly isFilled: Tensor;
  /** Where the group that is read has tokens: at first it is the start alone, in the last place. Undefined for single tokens. */
  readonly isFresh: Tensor | undefined;
  readonly positions: Tensor;
  /** Of the layer with this number, one slot for each position. */
  past(layer: number): KeyValue;
  /** Outputs of the program: what its layers made of the tokens. */
  readonly made: Record<string, Tensor>;
  /** Adds what a layer made to the outputs. */
  keep(layer: number, made: KeyValue): void;
}

const parts = ["key", "value"] as const;

export function cacheInputs({ length, keyWidth }: CacheShape, batchSize: number, groupSize = 1): CacheInputs {
  const made: Record<string, Tensor> = {};
  return {
    isFilled: input("filled", [length]),
    isFresh: groupSize === 1 ? undefined : input("fresh", [groupSize]),
    positions: input("positions", [1, groupSize], "int32"),
    past: (layer) => {
      const [key, value] = parts.map((part) => input(`past.${layer}.${part}`, [batchSize, length, keyWidth])) as [Tensor, Tensor];
      return { key, value };
    },
    made,
    keep: (layer, own) => {
      for (const part of parts) made[`made.${layer}.${part}`] = own[part];
    },
  };
}

/** A context in which each layer that is traced reads one more token behind its own past: the first is number 0. */
export function behindCache(
  shape: CacheShape,
  batchSize: number,
): { readonly context: Context; readonly made: Readonly<Record<string, Tensor>> } {
  const cache = cacheInputs(shape, batchSize);
  let count = 0;
  let past: KeyValue;
  const record = (made: KeyValue): void => {
    past = cache.past(count);
    cache.keep(count++, made);
  };
  const attend: View["attend"] = (...asked) => following(past, cache.isFilled, cache.positions).attend(...asked);
  return { context: { ...plainContext, record, view: { positions: cache.positions, attend } }, made: cache.made };
}

/** The keys and values of some layers for each token that was read, on the host. */
export class KeyValueCache {
  readonly shape: CacheShape;
  readonly batchSize: number;
  private readonly slots = new Map<string, Float32Array>();

  constructor(shape: CacheShape, batchSize: number, layers: readonly number[]) {
    this.shape = shape;
    this.batchSize = batchSize;
    for (const layer of layers)
      for (const part of parts) this.slots.set(`${layer}.${part}`, new Float32Array(batchSize * shape.length * shape.keyWidth));
  }

  /** What the program wants that reads `count` tokens, the last of them at a position; those before the first position are none. */
  feeds(position: number, count = 1): Record<string, HostArray> {
    const past = [...this.slots].map(([name, values]) => [`past.${name}`, values] as const);
    const read = Array.from({ length: count }, (_, i) => position - count + 1 + i);
    return {
      ...Object.fromEntries(past),
      filled: new Float32Array(this.shape.length).fill(1, 0, Math.max(0, read[0]!)),
      fresh: Float32Array.from(read, (own) => (own < 0 ? 0 : 1)),
      positions: Int32Array.from(read, (own) => Math.max(0, own)),
    };
  }

  /** Takes over what the program made of them. */
  store(results: Readonly<Record<string, HostArray>>, position: number, count = 1): void {
    const { length, keyWidth } = this.shape;
    for (const [name, slots] of this.slots) {
      const made = results[`made.${name}`] as Float32Array;
      for (let i = 0; i < this.batchSize; i++)
        for (let k = Math.max(0, count - 1 - position); k < count; k++)
          slots.set(
            made.subarray((i * count + k) * keyWidth, (i * count + k + 1) * keyWidth),
            (i * length + position - count + 1 + k) * keyWidth,
          );
    }
  }
}
