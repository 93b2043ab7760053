import { blockOfTime, keptShare, maskingTimes } from "../diffusion/index.ts";
import { fold, uniform } from "../random.ts";
import { constant, equal, filled, less, logicalAnd, reshape, slice, softmax, type Tensor, where } from "../tensor/index.ts";
import { type ExportedNetwork, type ExportSampling, float32, int32, predictionProgram } from "../train/index.ts";
import type { MaskedTextModel } from "./answers.ts";
import { drawnFrom, likeliestOf, placeOf } from "./exported.ts";
import { drawMaskedText } from "./maskedText.ts";

/**
 * A masked diffusion model for other software. The whole: tokens int32 [batch, length], the token `vocabSize` standing for what is
 * to be drawn, and uniform numbers, `reveal` and `draws` [batch, steps, length], which say when a place is revealed and as
 * what -> tokens int32 [batch, length], at temperature 1.
 */
export async function exportedMaskedText(model: MaskedTextModel, { numSteps }: ExportSampling = {}): Promise<ExportedNetwork> {
  const { vocabSize, length, partition, estimates } = model;
  const steps = numSteps ?? Math.min(length, 32);
  const times = maskingTimes("cosine", steps);
  const whole = predictionProgram<"tokens" | "reveal" | "draws", "tokens_drawn">(
    "network",
    (batchSize) => ({
      tokens: int32(batchSize, length),
      reveal: float32(batchSize, steps, length),
      draws: float32(batchSize, steps, length),
    }),
    ({ tokens, reveal, draws }, batchSize) => {
      const mask = constant([vocabSize], [], "int32");
      const ofStep = (x: Tensor, step: number): Tensor => reshape(slice(x, 1, step, step + 1), [batchSize, length]);
      let state = tokens;
      for (const [step, next] of times.slice(1).entries()) {
        const t = times[step]!;
        const { logits } = estimates[blockOfTime(partition, t)]!.trace({ tokens: state, t: filled(t, [batchSize, 1]) }, batchSize);
        const [kept, keptNext] = [keptShare(partition.schedule, t), keptShare(partition.schedule, next)];
        const isMasked = equal(state, mask);
        const chosen = next === 0 ? likeliestOf(logits) : drawnFrom(softmax(logits), reshape(ofStep(draws, step), [batchSize, length, 1]));
        const isRevealed = next === 0 ? isMasked : logicalAnd(isMasked, less(ofStep(reveal, step), (keptNext - kept) / (1 - kept)));
        state = where(isRevealed, placeOf(chosen), state);
      }
      return { tokens_drawn: state };
    },
  );
  return {
    blocks: estimates,
    whole,
    about: { times, mask: vocabSize, vocabSize },
    example: async (call, batchSize, key) => {
      const keys = Array.from({ length: batchSize }, (_, i) => fold(key, i));
      const reveal = new Float32Array(batchSize * steps * length);
      const draws = new Float32Array(batchSize * steps * length);
      const own = new Float64Array(2 * length);
      for (const [i, text] of keys.entries())
        for (let step = 0; step < steps; step++) {
          uniform(fold(text, step), own);
          reveal.set(own.subarray(0, length), (i * steps + step) * length);
          draws.set(own.subarray(length), (i * steps + step) * length);
        }
      const sampling = { numSteps: steps, grid: "cosine", temperature: 1 } as const;
      const drawn = await drawMaskedText({ model, call, batchSize, keys, sampling });
      return {
        count: batchSize,
        inputs: { tokens: new Int32Array(batchSize * length).fill(vocabSize), reveal, draws },
        outputs: { tokens_drawn: drawn },
      };
    },
  };
}
