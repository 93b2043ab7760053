import { ancestral, blockOfTime, type MaskingGrid, maskingTimes, reverse } from "../diffusion/index.ts";
import type { Key } from "../random.ts";
import type { Call } from "../train/index.ts";
import type { MaskedTextModel } from "./answers.ts";
import { drawToken, type TokenDraw } from "./drawToken.ts";

/** Options of drawing masked text. */
export interface MaskedTextSampling extends TokenDraw {
  /** Times at which tokens are revealed. */
  readonly numSteps: number;
  readonly grid: MaskingGrid;
}

/** A step on the way from hidden tokens to a text. */
export interface RevealStep {
  /** Counted from 0. */
  readonly step: number;
  /** The time that the step started from, and the block that was asked. */
  readonly time: number;
  readonly block: number;
  /** The tokens after the step, [keys, length]: `vocabSize` where they are hidden. */
  readonly tokens: Int32Array;
}

export interface DrawMaskedText {
  readonly model: MaskedTextModel;
  readonly call: Call;
  readonly batchSize: number;
  /** Of each sequence, what its draws derive from: the same key gives the same text in any batch. */
  readonly keys: readonly Key[];
  /** Known tokens at the start of every sequence. */
  readonly prompt?: Int32Array;
  readonly sampling: MaskedTextSampling;
  /** Called after each step, and awaited. */
  onStep?(step: RevealStep): void | Promise<void>;
}

/**
 * Draws text from a masked diffusion model: all tokens but the prompt start masked, and are revealed at the times of
 * a grid, each time by the block that owns it.
 *
 * @returns [keys, length]
 */
export async function drawMaskedText(options: DrawMaskedText): Promise<Int32Array> {
  const { model, call, batchSize, keys, prompt = new Int32Array(), sampling, onStep } = options;
  const { length, vocabSize, partition } = model;
  const start = new Int32Array(batchSize * length).fill(vocabSize);
  for (let i = 0; i < batchSize; i++) start.set(prompt.subarray(0, length), i * length);
  const tokens = await reverse(start, {
    sampler: ancestral({
      schedule: partition.schedule,
      length,
      vocabSize,
      keys,
      draw: (logits, u) => drawToken(logits, sampling, u),
    }),
    levels: maskingTimes(sampling.grid, sampling.numSteps),
    estimate: async (masked, time) => {
      const t = new Float32Array(batchSize).fill(time);
      return (await call(model.estimates[blockOfTime(partition, time)]!, { tokens: masked, t })).logits;
    },
    onStep: ({ step, level: time, reached }) =>
      onStep?.({ step, time, block: blockOfTime(partition, time), tokens: reached.subarray(0, keys.length * length) }),
  });
  return tokens.subarray(0, keys.length * length);
}
