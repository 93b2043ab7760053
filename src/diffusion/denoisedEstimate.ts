import { type Key, uniformAt } from "../random.ts";
import { inverseCdf, likeliest, softmaxOf } from "./categorical.ts";

/**
 * The way from logits to a denoised estimate: `soft` is the mean embedding under their softmax, `hard` the embedding of
 * the likeliest class, `sampled` that of a class drawn by the softmax.
 */
export type EstimateKind = "soft" | "hard" | "sampled";

export const estimateKinds: readonly EstimateKind[] = ["soft", "hard", "sampled"];

/**
 * The denoised estimate D of embedded classes, from logits: Σ_k p_k e_k, p being the softmax or one-hot.
 *
 * @param logits [batch, classes]
 * @param table [classes, width], the embeddings e_k.
 * @param key for `sampled`: one key for the batch, which row n draws number n from, or one for each row, so that rows
 *   do not depend on each other. Rows without a key of their own are 0.
 * @returns [batch, width]
 * @see CDCD (Dieleman et al. 2022, arXiv 2211.15089), score interpolation.
 */
export function denoisedEstimate(
  kind: EstimateKind,
  logits: Float32Array,
  table: Float32Array,
  numClasses: number,
  key: Key | readonly Key[],
): Float32Array {
  const width = table.length / numClasses;
  const batch = logits.length / numClasses;
  const isOwn = (keys: Key | readonly Key[]): keys is readonly Key[] => Array.isArray(keys);
  const out = new Float32Array(batch * width);
  for (let n = 0; n < (isOwn(key) ? key.length : batch); n++) {
    const u = (): number => (isOwn(key) ? uniformAt(key[n]!, 0) : uniformAt(key, n));
    const weights = classWeights(kind, softmaxOf(logits.subarray(n * numClasses, (n + 1) * numClasses)), u);
    for (let k = 0; k < numClasses; k++) {
      const weight = weights[k]!;
      if (weight === 0) continue;
      for (let i = 0; i < width; i++) out[n * width + i]! += weight * table[k * width + i]!;
    }
  }
  return out;
}

function classWeights(kind: EstimateKind, probabilities: Float64Array, u: () => number): Float64Array {
  if (kind === "soft") return probabilities;
  const choice = kind === "hard" ? likeliest(probabilities) : inverseCdf(probabilities, u());
  return probabilities.map((_, k) => (k === choice ? 1 : 0));
}
