import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { fold, integer, key } from "../random.ts";
import { byteTokenizer, loadTokenizer, type Tokenizer, text8Tokenizer } from "./tokenizer.ts";

/** A text in three parts, as tokens. */
export interface TextDataset {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/**
 * Reads a text file: the first 90 % are for training, 5 % for validation, the last 5 % for tests, as text8 is divided.
 *
 * @param tokenizer text8, bytes, or a tokenizer.json; `auto` takes text8 if nothing but its symbols occurs (a last line feed is passed over), else bytes.
 * @throws {DataError} if the file is missing, empty, or no UTF-8 (with the first byte that is not), or the tokenizer cannot be read.
 */
export async function loadText(path: string, tokenizer = "auto"): Promise<TextDataset> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There is no text at ${path}. Give a file of UTF-8 text with --data.`, { cause });
  });
  const text = decodeUtf8(bytes, path).replace(/\n$/, "");
  if (text.length === 0) throw new DataError("empty", { path }, `${path} is empty.`);
  const fitting = /^[a-z ]*$/.test(text) ? text8Tokenizer : byteTokenizer;
  const chosen = tokenizer === "auto" ? fitting : await loadTokenizer(tokenizer);
  const tokens = chosen.encode(text);
  const [first, second] = [0.9, 0.95].map((share) => Math.floor(share * tokens.length));
  return {
    name: basename(path).replace(/\.[^.]*$/, ""),
    tokenizer: chosen,
    train: tokens.subarray(0, first),
    validation: tokens.subarray(first, second),
    test: tokens.subarray(second),
  };
}

function decodeUtf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const at = firstInvalidByte(bytes);
    throw new DataError("notUtf8", { path, at }, `${path} is no UTF-8: byte ${at} does not fit. Convert it, e.g. with iconv.`, { cause });
  }
}

/** Where the first sequence that is no UTF-8 starts, by halving: whole text before it can be decoded. */
function firstInvalidByte(bytes: Uint8Array): number {
  let [low, high] = [0, bytes.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isUtf8(bytes.subarray(0, middle), true)) low = middle;
    else high = middle - 1;
  }
  // A sequence that was begun and not ended counts as whole in a stream: back to its start.
  while (!isUtf8(bytes.subarray(0, low), false)) low--;
  return low;
}

function isUtf8(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}

/** Windows of a text, by number of the step. */
export interface TextBatches {
  readonly stepsPerEpoch: number;
  /** int32 [batch, length], each window from a place of its own: a pure function of the seed and the step. */
  at(step: number): Int32Array;
}

/**
 * Training windows that start anywhere; an epoch has as many as the text has room for side by side.
 *
 * @throws {UsageError} if the text is shorter than a batch of windows.
 */
export function textBatches(
  tokens: Int32Array,
  { length, batchSize, seed }: { length: number; batchSize: number; seed: number },
): TextBatches {
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
      for (let i = 0; i < batchSize; i++) {
        const start = integer(fold(stepKey, i), tokens.length - length + 1);
        out.set(tokens.subarray(start, start + length), i * length);
      }
      return out;
    },
  };
}

/** The entropy of single tokens in nats: what a model without context can reach. */
export function unigramEntropy(tokens: Int32Array, vocabSize: number): number {
  const counts = new Float64Array(vocabSize);
  for (const token of tokens) counts[token]!++;
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / tokens.length) * Math.log(count / tokens.length)), 0);
}
