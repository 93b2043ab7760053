import { softmaxOf } from "./bridge.ts";

/** How a token is drawn from its scores. */
export interface TokenDraw {
  /** Scores are divided by it: below 1 likelier tokens are drawn more often; 0 takes the likeliest. */
  readonly temperature: number;
  /** Only so many of the likeliest tokens can be drawn. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability can be drawn (Holtzman et al. 2020). */
  readonly topP?: number | undefined;
}

/**
 * Draws a token by its scores [vocabSize] with a uniform number u in [0, 1): temperature first, then topK, then topP among those. In float64, for a coarse draw would favour the likely tokens.
 */
export function drawToken(scores: Float32Array, { temperature, topK, topP }: TokenDraw, u: number): number {
  if (temperature === 0) return likeliest(scores);
  const probabilities = softmaxOf(temperature === 1 ? scores : scores.map((x) => x / temperature));
  if (topK !== undefined || topP !== undefined) keepLikeliest(probabilities, topK ?? scores.length, topP ?? 1);
  const total = probabilities.reduce((sum, p) => sum + p, 0);
  let rest = u * total;
  let last = 0;
  for (const [token, probability] of probabilities.entries()) {
    if (probability === 0) continue;
    rest -= probability;
    last = token;
    if (rest < 0) return token;
  }
  return last;
}

/** Sets all probabilities but those of the likeliest tokens to 0. */
function keepLikeliest(probabilities: Float64Array, topK: number, topP: number): void {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]!);
  const total = order.slice(0, topK).reduce((sum, token) => sum + probabilities[token]!, 0);
  let reached = 0;
  for (const [place, token] of order.entries()) {
    if (place >= topK || reached >= topP * total) probabilities[token] = 0;
    else reached += probabilities[token]!;
  }
}

export function likeliest(scores: Float32Array): number {
  return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)));
}
