import { drawToken, type TokenDraw } from "../blocks/index.ts";
import { fold, type Key, uniformAt } from "../random.ts";
import type { CallProgram, LanguageModel } from "../train/index.ts";

export interface Continuing {
  readonly method: LanguageModel;
  readonly call: CallProgram;
  readonly batchSize: number;
  /** Of each text, what its draws derive from. */
  readonly keys: readonly Key[];
  /** How each begins; they grow. */
  readonly texts: readonly number[][];
  /** Tokens that each has in the end, unless it ends before. */
  readonly length: number;
  readonly sampling: TokenDraw;
  readonly signal?: AbortSignal | undefined;
  /** Told of the text that a token was added to; whether it is at its end. */
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
  const ended = new Set<number>();
  for (let place = 0; place < length && ended.size < keys.length && !signal?.aborted; place++) {
    const before = Int32Array.from({ length: batchSize }, (_, i) => (place === 0 ? vocabSize : (texts[i]?.[place - 1] ?? 0)));
    const scores = await generation.next(before);
    for (const [i, text] of texts.entries()) {
      if (ended.has(i) || place < text.length) continue;
      text.push(drawToken(scores.subarray(i * vocabSize, (i + 1) * vocabSize), sampling, uniformAt(fold(keys[i]!, "token"), place)));
      if (onToken?.(i)) ended.add(i);
    }
  }
}
