import { fold, type Key, normal } from "../random.ts";

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
  const out = new Float32Array(batchSize * count * width);
  for (const [i, own] of keys.entries())
    for (let k = 0; k < count; k++)
      normal(fold(fold(own, position + k), name), out.subarray((i * count + k) * width, (i * count + k + 1) * width));
  return out;
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
