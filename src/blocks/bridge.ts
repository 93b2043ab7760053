import { type Key, uniformAt } from "../random.ts";

/**
 * How class scores become the estimate of the target that the next step starts from: the mean embedding under their softmax, the
 * embedding of the best class, or of a class drawn from the softmax.
 */
export type Bridge = "soft" | "hard" | "sampled";

/**
 * @param logits [batch, classes]
 * @param table [classes, width], the scaled embeddings
 * @returns the denoised targets, [batch, width]
 */
export function bridge(kind: Bridge, logits: Float32Array, table: Float32Array, numClasses: number, key: Key): Float32Array {
  const width = table.length / numClasses;
  const batch = logits.length / numClasses;
  const out = new Float32Array(batch * width);
  for (let n = 0; n < batch; n++) {
    const weights = classWeights(kind, logits.subarray(n * numClasses, (n + 1) * numClasses), kind === "sampled" ? uniformAt(key, n) : 0);
    for (let k = 0; k < numClasses; k++) {
      const weight = weights[k]!;
      if (weight === 0) continue;
      for (let i = 0; i < width; i++) out[n * width + i]! += weight * table[k * width + i]!;
    }
  }
  return out;
}

/** The same with a key for each row, so that a row does not depend on which others stand beside it; rows without a key stay 0. */
export function bridgeEach(
  kind: Bridge,
  logits: Float32Array,
  table: Float32Array,
  numClasses: number,
  keys: readonly Key[],
): Float32Array {
  const width = table.length / numClasses;
  const out = new Float32Array((logits.length / numClasses) * width);
  for (const [i, own] of keys.entries())
    out.set(bridge(kind, logits.subarray(i * numClasses, (i + 1) * numClasses), table, numClasses, own), i * width);
  return out;
}

function classWeights(kind: Bridge, logits: Float32Array, u: number): Float64Array {
  const probabilities = softmaxOf(logits);
  if (kind === "soft") return probabilities;
  const choice = kind === "hard" ? probabilities.indexOf(Math.max(...probabilities)) : inverseCdf(probabilities, u);
  return probabilities.map((_, k) => (k === choice ? 1 : 0));
}

/** Softmax of one row, in float64. */
export function softmaxOf(logits: Float32Array): Float64Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((x) => x / sum);
}

function inverseCdf(probabilities: Float64Array, u: number): number {
  let rest = u;
  const index = probabilities.findIndex((p) => {
    rest -= p;
    return rest < 0;
  });
  return index < 0 ? probabilities.length - 1 : index;
}
