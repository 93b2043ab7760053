import type { Likelihood, MeasuredText } from "../train/index.ts";

/** The sizes that a model reads texts in. */
export interface TextSizes {
  /** Tokens of a sequence. */
  readonly length: number;
  readonly batchSize: number;
}

/** Part of a text as a network reads it; rows beyond `count` are padding. */
export interface TextBatch {
  /** int32 [batch, length] */
  readonly tokens: Int32Array;
  /** The sequence of the first row. */
  readonly first: number;
  readonly count: number;
}

/** A text in batches of whole sequences. */
export function* batchesOfText({ tokens, count }: MeasuredText, { length, batchSize }: TextSizes): Generator<TextBatch> {
  for (let first = 0; first < count; first += batchSize) {
    const own = new Int32Array(batchSize * length);
    own.set(tokens.subarray(first * length, Math.min(count, first + batchSize) * length));
    yield { tokens: own, first, count: Math.min(batchSize, count - first) };
  }
}

/**
 * Means of −ln p over the tokens that count.
 *
 * @param natsOf by name, −ln p of each token of a batch, [batch, length]; `first` is the number of its first sequence.
 */
export async function exactLikelihoods(
  text: MeasuredText,
  { length, batchSize }: TextSizes,
  natsOf: (tokens: Int32Array, first: number) => Promise<Readonly<Record<string, Float32Array>>>,
): Promise<Readonly<Record<string, Likelihood>>> {
  const sums: Record<string, number> = {};
  let counted = 0;
  for (const { tokens, first, count } of batchesOfText(text, { length, batchSize })) {
    const named = Object.entries(await natsOf(tokens, first));
    for (let row = 0; row < count; row++) {
      for (let place = text.from(first + row); place < (text.to ?? length); place++) {
        for (const [name, nats] of named) sums[name] = (sums[name] ?? 0) + nats[row * length + place]!;
        counted++;
      }
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, { nats: sum / counted, kind: "exact" }]));
}

/**
 * A text cut so that every token is measured once and, but for the first half-sequence, with at least half a sequence before it.
 * Tokens at the end that fill no half-sequence are left out; a text shorter than a sequence is measured whole.
 */
export function overlappingText(tokens: Int32Array, length: number): MeasuredText {
  if (tokens.length < length) {
    const padded = new Int32Array(length);
    padded.set(tokens);
    return { tokens: padded, count: 1, from: () => 0, to: tokens.length };
  }
  const stride = Math.max(1, Math.floor(length / 2));
  const count = Math.max(0, Math.floor((tokens.length - length) / stride) + 1);
  const out = new Int32Array(count * length);
  for (let i = 0; i < count; i++) out.set(tokens.subarray(i * stride, i * stride + length), i * length);
  return { tokens: out, count, from: (sequence) => (sequence === 0 ? 0 : length - stride) };
}
