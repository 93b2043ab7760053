import { UsageError } from "./errors.ts";
import { unitAt, wordAt } from "./random/counter.ts";
import { exp, normalAt } from "./random/ziggurat.ts";

/**
 * Randomness as a function, not a state. A `Key` names a stream; every number is a pure function of
 * (key, index), so a run that was killed and resumed draws what it would have drawn, and blocks draw
 * the same whether they train together or on machines of their own. A stream has 2^32 indices.
 *
 * Draw with a key once; for anything further derive children with `fold` or `split`.
 * Not for secrets: the words are statistically random, not cryptographically.
 *
 * @example
 * const step = fold(fold(key(seed), "train"), stepNumber);
 * const [sigmaKey, noiseKey] = split(step);
 * normal(noiseKey, epsilon);
 */
export interface Key {
  /** An unsigned 32-bit integer. */
  readonly hi: number;
  /** An unsigned 32-bit integer. */
  readonly lo: number;
}

/** The parent of every seed: the first 64 bits of the fraction of pi. */
const ROOT: Key = { hi: 0x243f6a88, lo: 0x85a308d3 };
/** Children made in different ways, and the words drawn from a key itself, come from streams of different names. */
const Domain = { number: 0x13198a2e, string: 0x03707344, split: 0xa4093822, retry: 0x299f31d0 } as const;

/**
 * The key of a seed.
 * @param seed any safe integer, or any string; 1 and "1" are different seeds.
 * @throws {UsageError} if a number is not a safe integer.
 */
export function key(seed: number | string): Key {
  return fold(ROOT, seed);
}

/**
 * The child of a key that an integer (a step, a block, a sample) or a name (a purpose) picks out.
 * @throws {UsageError} if a number is not a safe integer.
 */
export function fold(parent: Key, data: number | string): Key {
  let child = parent;
  if (typeof data === "string") {
    for (let i = 0; i < data.length; i++) child = derive(child, data.charCodeAt(i), Domain.string);
    return derive(child, ~data.length, Domain.string);
  }
  if (!Number.isSafeInteger(data)) {
    throw new UsageError("seedNotInteger", { seed: data }, `key, fold: ${data} is not a safe integer. Pass a whole number or a string.`);
  }
  return derive(derive(parent, data | 0, Domain.number), Math.floor(data / 2 ** 32), Domain.number);
}

/** Two children of a key, independent of it, of each other, and of every `fold` of it. */
export function split(parent: Key): readonly [Key, Key] {
  return [derive(parent, 0, Domain.split), derive(parent, 1, Domain.split)];
}

/** As `split`, n children; the first ones do not depend on n. */
export function splitN(parent: Key, n: number): readonly Key[] {
  return Array.from({ length: n }, (_, child) => derive(parent, child, Domain.split));
}

function derive({ hi, lo }: Key, word: number, domain: number): Key {
  return { hi: wordAt(hi ^ domain, lo, word) >>> 0, lo: wordAt(hi, ~lo ^ domain, word) >>> 0 };
}

/** Random 32-bit words: out[i] is word `offset + i` of the stream. */
export function bits({ hi, lo }: Key, out: Uint32Array, offset = 0): void {
  for (let i = 0; i < out.length; i++) out[i] = wordAt(hi | 0, lo | 0, offset + i);
}

/** Uniform on [0, 1): 24 random bits into a Float32Array, 53 into a Float64Array (there out[i] = uniformAt(key, i)). */
export function uniform(key: Key, out: Float32Array | Float64Array): void {
  const { hi, lo } = key;
  if (out instanceof Float64Array) {
    for (let i = 0; i < out.length; i++) out[i] = unitAt(hi | 0, lo | 0, i, 0);
  } else {
    for (let i = 0; i < out.length; i++) out[i] = (wordAt(hi | 0, lo | 0, i) >>> 8) * 2 ** -24;
  }
}

/** One number uniform on [0, 1) with 53 random bits. */
export function uniformAt({ hi, lo }: Key, index: number): number {
  return unitAt(hi | 0, lo | 0, index, 0);
}

/**
 * A whole number uniform on 0 ... bound - 1; no value is likelier than another by more than bound / 2^53.
 * @throws {UsageError} if bound is not a whole number from 1 to 2^32.
 */
export function integer(key: Key, bound: number): number {
  if (!(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32)) {
    throw new UsageError("badBound", { bound }, `integer: bound is ${bound}; it must be a whole number from 1 to 2^32.`);
  }
  return Math.floor(uniformAt(key, 0) * bound);
}

/** Standard normal deviates, N(0, 1), by the ziggurat method; the tails are complete. */
export function normal({ hi, lo }: Key, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = normalAt(hi | 0, lo | 0, i);
}

/** `length` standard normal deviates. */
export function normals(key: Key, length: number): Float32Array {
  const out = new Float32Array(length);
  normal(key, out);
  return out;
}

/**
 * Standard normal deviates, [rows, width], where each row is a function of its own key: the same in any batch.
 *
 * @param rows as many as keys by default; those without a key are 0.
 */
export function normalRows(keys: readonly Key[], width: number, rows: number = keys.length): Float32Array {
  const out = new Float32Array(rows * width);
  for (const [row, own] of keys.entries()) normal(own, out.subarray(row * width, (row + 1) * width));
  return out;
}

/**
 * N(0, 1) conditioned on |x| <= bound. Its variance is below 1: 0.774 at the default bound.
 * @throws {UsageError} if bound is not positive.
 */
export function truncatedNormal(key: Key, out: Float32Array, bound = 2): void {
  if (!(bound > 0)) throw new UsageError("badBound", { bound }, `truncatedNormal: bound is ${bound}; it must be positive.`);
  const propose = bound < 1 ? uniformProposal : normalProposal;
  for (let i = 0; i < out.length; i++) {
    let x = propose(key, i, bound);
    for (let attempt = 0; x === undefined; attempt++) x = propose(derive(key, attempt, Domain.retry), i, bound);
    out[i] = x;
  }
}

function normalProposal({ hi, lo }: Key, index: number, bound: number): number | undefined {
  const x = normalAt(hi | 0, lo | 0, index);
  return Math.abs(x) <= bound ? x : undefined;
}

/** For narrow bounds, where nearly every normal deviate would be refused. */
function uniformProposal({ hi, lo }: Key, index: number, bound: number): number | undefined {
  const x = (2 * unitAt(hi | 0, lo | 0, index, 0) - 1) * bound;
  return unitAt(hi | 0, lo | 0, index, 2) < exp((-x * x) / 2) ? x : undefined;
}

/**
 * Ones with probability `keep`, else zeros (a dropout mask). A word serves two values, so `keep` is rounded to a multiple of
 * 2^-16; 0 and 1 are exact.
 * @throws {UsageError} if keep is not in [0, 1].
 */
export function bernoulli({ hi, lo }: Key, out: Uint8Array, keep: number): void {
  if (!(keep >= 0 && keep <= 1)) {
    throw new UsageError("badProbability", { keep }, `bernoulli: keep is ${keep}; it must be a probability from 0 to 1.`);
  }
  const threshold = Math.round(keep * 2 ** 16);
  for (let i = 0; i < out.length; i += 2) {
    const word = wordAt(hi | 0, lo | 0, i >>> 1);
    out[i] = (word & 0xffff) < threshold ? 1 : 0;
    if (i + 1 < out.length) out[i + 1] = word >>> 16 < threshold ? 1 : 0;
  }
}

/** A random order of 0 ... n - 1, all n! alike (Fisher-Yates). */
export function permutation(key: Key, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(uniformAt(key, i) * (i + 1));
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}
