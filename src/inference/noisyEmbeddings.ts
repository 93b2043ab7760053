import { fold, type Key, normalRows } from "../random.ts";

/** Consecutive places in each text of a batch. */
export interface Places {
  readonly position: number;
  readonly count: number;
  readonly batchSize: number;
  /** Width of a token's embedding. */
  readonly width: number;
}

/**
 * Standard normal numbers, [batch, count, width]: a function of a text's key, the place and a name. A text has the same in any batch.
 *
 * @param keys one for each text; rows of the batch without a key are 0.
 */
export function placeNoise(keys: readonly Key[], name: string, { position, count, batchSize, width }: Places): Float32Array {
  const placeKeys = keys.flatMap((own) => Array.from({ length: count }, (_, k) => fold(fold(own, position + k), name)));
  return normalRows(placeKeys, width, batchSize * count);
}

/** Standard normal numbers of sequences that are numbered from `first` on, [count, size]: each its own, in any batch. */
export function sequenceNoise(key: Key, { first, count }: { readonly first: number; readonly count: number }, size: number): Float32Array {
  return normalRows(
    Array.from({ length: count }, (_, row) => fold(key, first + row)),
    size,
  );
}

/**
 * z = y + σε of tokens.
 *
 * @param table [vocabSize, width], the embeddings y.
 * @param noise ε, [tokens, width].
 */
export function noisyEmbeddings(tokens: Int32Array, table: Float32Array, noise: Float32Array, sigma: number): Float32Array {
  const width = noise.length / tokens.length;
  return noise.map((epsilon, i) => table[tokens[Math.floor(i / width)]! * width + (i % width)]! + sigma * epsilon);
}
