import { fold, type Key, uniformAt } from "../random.ts";
import type { Call, LanguageModel } from "../train/index.ts";
import { drawToken, type TokenDraw } from "./drawToken.ts";

export interface Continuing {
  readonly method: LanguageModel;
  readonly call: Call;
  readonly batchSize: number;
  /** Of each text, what its draws derive from. */
  readonly keys: readonly Key[];
  /** The texts, each with its beginning; they grow. */
  readonly texts: readonly number[][];
  /** Tokens that each has in the end, unless it ends before. */
  readonly length: number;
  readonly sampling: TokenDraw;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of the text that a token was added to. Returns whether the text has ended. */
  readonly onToken?: (text: number) => boolean;
}

/** Continues texts together, token by token, each from what it begins with. */
export async function continueTexts({
  method,
  call,
  batchSize,
  keys,
  texts,
  length,
  sampling,
  signal,
  onToken,
}: Continuing): Promise<void> {
  const { vocabSize } = method;
  const generation = method.generate(call, batchSize, keys);
  const { groupSize } = generation;
  const ended = new Set<number>();
  /** Tokens of all texts from a place on, where there are any. */
  const group = (from: number, none: number): Int32Array =>
    Int32Array.from({ length: batchSize * groupSize }, (_, i) => texts[Math.floor(i / groupSize)]?.[from + (i % groupSize)] ?? none);
  for (let place = 0; place < length && ended.size < keys.length && !signal?.aborted; place += groupSize) {
    const before = place === 0 ? new Int32Array(batchSize * groupSize).fill(vocabSize) : group(place - groupSize, 0);
    const scores = await generation.next(before, group(place, -1));
    for (const [i, text] of texts.entries()) {
      for (let own = Math.max(place, text.length); own < Math.min(length, place + groupSize) && !ended.has(i); own++) {
        const row = i * groupSize + own - place;
        text.push(drawToken(scores.subarray(row * vocabSize, (row + 1) * vocabSize), sampling, uniformAt(fold(keys[i]!, "token"), own)));
        if (onToken?.(i)) ended.add(i);
      }
    }
  }
}
