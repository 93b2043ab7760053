import { fold, type Key, uniform } from "../../random.ts";
import { likeliest } from "../categorical.ts";
import { keptShare, type MaskingSchedule } from "../masking.ts";
import type { Sampler } from "./reverse.ts";

export interface AncestralOptions {
  readonly schedule: MaskingSchedule;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Tokens that there are; a masked one is the token `vocabSize`. */
  readonly vocabSize: number;
  /**
   * Of each sequence, what its draws derive from: the same key gives the same text in any batch. Sequences without a
   * key stay as they are.
   */
  readonly keys: readonly Key[];
  /** Draws a token by its logits [vocabSize] with a uniform number u in [0, 1). */
  draw(logits: Float32Array, u: number): number;
}

/**
 * Ancestral sampling of masked tokens [batch, length], by logits [batch, length, vocabSize]. From time t to s each
 * masked token is revealed with probability (α_s − α_t)/(1 − α_t), and stays. A step to time 0 reveals all that are
 * masked, each as its likeliest token.
 *
 * @see MD4 (Shi et al. 2024, arXiv 2406.04329), Section 3.
 */
export function ancestral({ schedule, length, vocabSize, keys, draw }: AncestralOptions): Sampler<Int32Array, Float32Array> {
  return {
    name: "ancestral",
    step: ({ step, here: { level, state, estimate }, next }) => {
      const tokens = state.slice();
      const [kept, keptNext] = [keptShare(schedule, level), keptShare(schedule, next)];
      const revealed = next === 0 ? 1 : (keptNext - kept) / (1 - kept);
      const draws = new Float64Array(2 * length);
      for (const [i, key] of keys.entries()) {
        uniform(fold(key, step), draws);
        for (let place = 0; place < length; place++) {
          const at = i * length + place;
          if (tokens[at] !== vocabSize || draws[place]! >= revealed) continue;
          const logits = estimate.subarray(at * vocabSize, (at + 1) * vocabSize);
          tokens[at] = next === 0 ? likeliest(logits) : draw(logits, draws[length + place]!);
        }
      }
      return tokens;
    },
  };
}
