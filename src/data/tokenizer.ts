import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { Tokenizer as FileTokenizer } from "@huggingface/tokenizers";
import { DataError } from "../errors.ts";
import { cutAfter } from "./textSource.ts";

/** Text as whole numbers and back. */
export interface Tokenizer {
  readonly name: string;
  readonly vocabSize: number;
  /** What stands between documents, where the tokenizer has a token for it. */
  readonly endOfText?: Int32Array | undefined;
  /** @throws {DataError} if the text holds what it cannot write. */
  encode(text: string): Int32Array;
  decode(tokens: ArrayLike<number>): string;
  /** The content of its tokenizer.json, where it has one. */
  readonly json?: object;
}

/** A tokenizer as it is kept with a run: a built-in one by its name, others whole. */
export interface TokenizerInfo {
  readonly name: string;
  readonly json?: object;
}

export function tokenizerInfo({ name, json }: Tokenizer): TokenizerInfo {
  return { name, ...(json !== undefined && { json }) };
}

/** @throws {DataError} if it is no tokenizer. */
export function tokenizerOf({ name, json }: TokenizerInfo): Tokenizer {
  if (json !== undefined) return fromJson(json as TokenizerJson, name);
  const builtIn = [text8Tokenizer, byteTokenizer].find((one) => one.name === name);
  if (builtIn !== undefined) return builtIn;
  throw new DataError("noTokenizer", { name }, `There is no built-in tokenizer "${name}"; there are text8 and bytes.`);
}

const letters = "abcdefghijklmnopqrstuvwxyz ";

/** The 27 symbols of text8: a to z are 0 to 25, the space is 26. */
export const text8Tokenizer: Tokenizer = {
  name: "text8",
  vocabSize: letters.length,
  encode: (text) => {
    const tokens = new Int32Array(text.length);
    for (let i = 0; i < text.length; i++) {
      const token = letters.indexOf(text[i]!);
      if (token < 0) {
        const message = `The text has ${JSON.stringify(text[i])} at character ${i}; the tokenizer text8 knows a to z and the space. Choose --tokenizer bytes, or prepare the text.`;
        throw new DataError("outsideAlphabet", { at: i, character: text[i] }, message);
      }
      tokens[i] = token;
    }
    return tokens;
  },
  decode: (tokens) => Array.from(tokens, (token) => letters[token] ?? "_").join(""),
};

/** UTF-8, byte by byte. */
export const byteTokenizer: Tokenizer = {
  name: "bytes",
  vocabSize: 256,
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (tokens) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
};

/**
 * A tokenizer by name, text8 or bytes, or from a file in the format of Hugging Face's tokenizer.json.
 *
 * @throws {DataError} if the file is missing, or is no tokenizer.
 */
export async function loadTokenizer(nameOrPath: string): Promise<Tokenizer> {
  if (nameOrPath === text8Tokenizer.name) return text8Tokenizer;
  if (nameOrPath === byteTokenizer.name) return byteTokenizer;
  const text = await readFile(nameOrPath, "utf8").catch((cause: unknown) => {
    const message = `There is no tokenizer at ${nameOrPath}. Give text8, bytes, or the path of a tokenizer.json.`;
    throw new DataError("noTokenizer", { nameOrPath }, message, { cause });
  });
  try {
    return fromJson(JSON.parse(text) as TokenizerJson, basename(nameOrPath).replace(/(\.tokenizer)?\.json$/, ""));
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError("badTokenizer", { nameOrPath }, `${nameOrPath} is no tokenizer.json: ${(cause as Error).message}`, { cause });
  }
}

/** The parts of the file that are read here. */
interface TokenizerJson {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

function fromJson(json: TokenizerJson, name: string): Tokenizer {
  const ids = [...Object.values(json.model.vocab), ...(json.added_tokens ?? []).map(({ id }) => id)];
  const inner = new FileTokenizer(json, {});
  const end = json.added_tokens?.find(({ content }) => ["<|endoftext|>", "</s>", "<|end_of_text|>"].includes(content));
  return {
    name,
    json,
    endOfText: end && Int32Array.of(end.id),
    vocabSize: 1 + ids.reduce((a, b) => Math.max(a, b), -1),
    encode: (text) => {
      const pieces = piecesOf(text).map((piece) => inner.encode(piece, { add_special_tokens: false }).ids);
      const tokens = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        tokens.set(piece, at);
        at += piece.length;
      }
      return tokens;
    },
    decode: (tokens) => inner.decode(Array.from(tokens), { skip_special_tokens: false }),
  };
}

const pieceLength = 20_000;

/** A long text in pieces that are tokenised on their own. */
function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  let rest = text;
  for (let cut = cutAfter(rest, pieceLength); cut !== undefined; cut = cutAfter(rest, pieceLength)) {
    pieces.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return [...pieces, rest];
}
