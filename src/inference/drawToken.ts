import { likeliest, softmaxOf } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";

/** Options of drawing a token from its logits. */
export interface TokenDraw {
  /** Logits are divided by it: below 1 likelier tokens are drawn more often; 0 takes the likeliest. */
  readonly temperature: number;
  /** Only so many of the likeliest tokens can be drawn (Fan et al. 2018). */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability can be drawn: the nucleus (Holtzman et al. 2020). */
  readonly topP?: number | undefined;
}

/** @throws {UsageError} if an option of drawing is out of its range. */
export function checkDraw({ temperature, topK, topP }: TokenDraw): void {
  const refuse = (name: string, value: number, expected: string): never => {
    throw new UsageError("drawRange", { name, value }, `${name} ${value}: ${expected}.`);
  };
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    refuse("--temperature", temperature, "a number of at least 0 is expected");
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) refuse("--top-k", topK, "a whole number of at least 1 is expected");
  if (topP !== undefined && !(topP > 0 && topP <= 1))
    refuse("--top-p", topP, "a probability above 0 and at most 1 is expected; --temperature 0 takes the likeliest token");
}

/**
 * Draws a token: temperature first, then topK, then topP among those. In float64, for a coarse draw would favour the likely tokens.
 *
 * @param logits [vocabSize]
 * @param u a uniform number in [0, 1).
 */
export function drawToken(logits: Float32Array, { temperature, topK, topP }: TokenDraw, u: number): number {
  if (temperature === 0) return likeliest(logits);
  const probabilities = softmaxOf(temperature === 1 ? logits : logits.map((x) => x / temperature));
  if (topK !== undefined || topP !== undefined) keepLikeliest(probabilities, topK ?? logits.length, topP ?? 1);
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
