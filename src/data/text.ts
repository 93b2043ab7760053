import { UsageError } from "../errors.ts";
import { fold, integer, key } from "../random.ts";
import type { Tokenizer, TokenizerInfo } from "./tokenizer.ts";
import { type Tokens, tokensOf } from "./tokens.ts";

/** The part of a text data set that a trained model keeps. */
export interface TextInfo {
  readonly name: string;
  readonly vocabSize: number;
  readonly tokenizer: TokenizerInfo;
}

/** A text in three parts, as tokens. */
export interface TextDataset {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly train: Tokens;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/**
 * A text in memory as a data set: the first 90 % for training, 5 % for validation, the last 5 % for tests, as text8 is divided.
 *
 * @throws {DataError} if the tokenizer cannot write the text.
 */
export function textDataset(name: string, text: string, tokenizer: Tokenizer): TextDataset {
  const tokens = tokenizer.encode(text);
  const [train, validation, test] = textParts(tokens.length).map(({ from, length }) => tokens.subarray(from, from + length));
  return { name, tokenizer, train: tokensOf(train!), validation: validation!, test: test! };
}

/** @returns where training, validation and test part of a single document of `total` tokens lie: 90 %, 5 % and 5 % of it. */
export function textParts(total: number): readonly { readonly from: number; readonly length: number }[] {
  const ends = [0, ...[0.9, 0.95].map((share) => Math.floor(share * total)), total];
  return ends.slice(1).map((end, i) => ({ from: ends[i]!, length: end - ends[i]! }));
}

/** Windows of a text, by number of the step. */
export interface TextBatches {
  readonly stepsPerEpoch: number;
  /** @returns int32 [batch, length], each window from a random position: a pure function of the seed and the step. */
  at(step: number): Int32Array;
}

/**
 * Training windows that start anywhere; an epoch has as many as the text has room for side by side.
 *
 * @param options.length tokens of a window.
 * @throws {UsageError} if the text is shorter than a batch of windows.
 */
export function textBatches(
  tokens: Tokens,
  options: { readonly length: number; readonly batchSize: number; readonly seed: number },
): TextBatches {
  const { length, batchSize, seed } = options;
  const stepsPerEpoch = Math.floor(tokens.length / (length * batchSize));
  if (stepsPerEpoch === 0) {
    const message = `The text has ${tokens.length} tokens for training, fewer than a batch of ${batchSize} windows of ${length}. Lower --batch or --length.`;
    throw new UsageError("textTooShort", { tokens: tokens.length, length, batchSize }, message);
  }
  const own = fold(key(seed), "text");
  return {
    stepsPerEpoch,
    at: (step) => {
      const out = new Int32Array(batchSize * length);
      const stepKey = fold(own, step);
      for (let i = 0; i < batchSize; i++)
        tokens.read(integer(fold(stepKey, i), tokens.length - length + 1), out.subarray(i * length, (i + 1) * length));
      return out;
    },
  };
}

/** @returns the entropy of single tokens in nats: the least loss of a model without context. */
export function unigramEntropy(tokens: Int32Array, vocabSize: number): number {
  const counts = new Float64Array(vocabSize);
  for (const token of tokens) counts[token]!++;
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / tokens.length) * Math.log(count / tokens.length)), 0);
}
