/** Tokens by position, in memory or elsewhere. */
export interface Tokens {
  readonly length: number;
  /** Fills `out` with the tokens from position `from` on. */
  read(from: number, out: Int32Array): void;
}

/** @returns `values` as {@link Tokens}, without a copy. */
export function tokensOf(values: Int32Array): Tokens {
  return { length: values.length, read: (from, out) => out.set(values.subarray(from, from + out.length)) };
}

/**
 * Tokens from one position to another, in memory.
 *
 * @returns int32 [to − from]; by default all tokens.
 */
export function readTokens(tokens: Tokens, from = 0, to: number = tokens.length): Int32Array {
  const out = new Int32Array(to - from);
  tokens.read(from, out);
  return out;
}
