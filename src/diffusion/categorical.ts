/** Softmax of one row of logits, in float64: a coarse sum would favour likely classes. */
export function softmaxOf(logits: Float32Array): Float64Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((x) => x / sum);
}

/** −ln softmax(logits)[index] of one row of logits. */
export function negativeLogSoftmax(logits: Float32Array, index: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top - logits[index]! + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0));
}

/** The first of the largest scores. */
export function likeliest(scores: Float32Array | Float64Array): number {
  let best = 0;
  for (const [i, score] of scores.entries()) if (score > scores[best]!) best = i;
  return best;
}

/** The class whose share of cumulative probability holds u, a uniform number in [0, 1). */
export function inverseCdf(probabilities: Float64Array, u: number): number {
  let rest = u;
  const index = probabilities.findIndex((p) => {
    rest -= p;
    return rest < 0;
  });
  return index < 0 ? probabilities.length - 1 : index;
}
