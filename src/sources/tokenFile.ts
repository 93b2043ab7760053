import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import type { Tokens } from "../data/index.ts";

export const bytesPerToken = 4;

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
