import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";

/** Tokens by their place, in memory or in a file. */
export interface Tokens {
  readonly length: number;
  /** Fills `out` with the tokens from a place on. */
  read(from: number, out: Int32Array): void;
}

export function tokensOf(values: Int32Array): Tokens {
  return { length: values.length, read: (from, out) => out.set(values.subarray(from, from + out.length)) };
}

const bytesPerToken = 4;

/** Part of a file of int32 tokens, little-endian, read where it is asked for: any number of them take no memory. */
export function tokensInFile(path: string, from: number, length: number): Tokens {
  let file: number | undefined;
  return {
    length,
    read: (place, out) => {
      file ??= openSync(path, "r");
      const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
      const read = readSync(file, bytes, 0, bytes.length, (from + place) * bytesPerToken);
      if (read !== bytes.length) throw new RangeError(`internal: ${path} has no token ${from + place + out.length - 1}`);
    },
  };
}

/** All tokens of a part, in memory. */
export function readTokens(tokens: Tokens, from = 0, to: number = tokens.length): Int32Array {
  const out = new Int32Array(to - from);
  tokens.read(from, out);
  return out;
}

/** Writes tokens to a file as they come. */
export class TokenWriter {
  length = 0;
  readonly #file: number;
  #isOpen = true;

  constructor(path: string) {
    this.#file = openSync(path, "w", 0o600);
  }

  append(tokens: Int32Array): void {
    writeSync(this.#file, new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
    this.length += tokens.length;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}
