import { blockOfTime, keptShare } from "../diffusion/index.ts";
import { fold, type Key, uniform } from "../random.ts";
import type { CallProgram } from "../train/index.ts";
import { drawToken, likeliest, type TokenDraw } from "./drawToken.ts";
import type { MaskedText } from "./maskedText.ts";

/** How text is drawn. */
export interface TextSampling extends TokenDraw {
  /** Times at which tokens are revealed. */
  readonly numSteps: number;
  /** `uniform`: equal steps of t. `cosine`: few tokens at first, where each decides much (Shi et al. 2024). */
  readonly grid: "uniform" | "cosine";
}

export interface TextWalk {
  readonly method: MaskedText;
  readonly call: CallProgram;
  readonly batchSize: number;
  /** Of each sequence, what its draws derive from: the same key gives the same text in any batch. */
  readonly keys: readonly Key[];
  /** Known tokens at the start of every sequence. */
  readonly prompt?: Int32Array;
  readonly sampling: TextSampling;
  readonly onStep?: (step: number) => void;
}

/**
 * Ancestral sampling: all tokens start hidden; from t to s each hidden one is revealed with probability (α_s − α_t)/(1 − α_t), drawn from what the block that owns t says, and stays. What is hidden at the end is the likeliest token.
 *
 * @returns [keys, length]
 */
export async function sampleText({
  method,
  call,
  batchSize,
  keys,
  prompt = new Int32Array(),
  sampling,
  onStep,
}: TextWalk): Promise<Int32Array> {
  const { architecture, partition } = method;
  const { length, vocabSize } = architecture;
  const { numSteps, grid } = sampling;
  const timeAt = (step: number): number => {
    const t = (numSteps - step) / numSteps;
    return grid === "uniform" ? t : Math.cos((Math.PI / 2) * (1 - t));
  };
  const tokens = new Int32Array(batchSize * length).fill(vocabSize);
  for (let i = 0; i < batchSize; i++) tokens.set(prompt.subarray(0, length), i * length);
  const draws = new Float64Array(2 * length);
  for (let step = 0; step < numSteps; step++) {
    const [t, s] = [timeAt(step), step + 1 === numSteps ? 0 : timeAt(step + 1)];
    const [before, after] = [keptShare(partition.schedule, t), keptShare(partition.schedule, s)];
    const revealed = step + 1 === numSteps ? 1 : (after - before) / (1 - before);
    const logits = (await call(`block-${blockOfTime(partition, t)}`, { tokens, t: new Float32Array(batchSize).fill(t) }))
      .logits as Float32Array;
    for (const [i, key] of keys.entries()) {
      uniform(fold(key, step), draws);
      for (let place = 0; place < length; place++) {
        const at = i * length + place;
        if (tokens[at] !== vocabSize || draws[place]! >= revealed) continue;
        const scores = logits.subarray(at * vocabSize, (at + 1) * vocabSize);
        tokens[at] = step + 1 === numSteps ? likeliest(scores) : drawToken(scores, sampling, draws[length + place]!);
      }
    }
    onStep?.(step);
  }
  return tokens.subarray(0, keys.length * length);
}
