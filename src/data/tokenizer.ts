import { Tokenizer as JsonTokenizer } from "@huggingface/tokenizers";
import { readText } from "#text-file";
import { DataError } from "../errors.ts";
import { readLimits } from "./limits.ts";
import { mayExplode } from "./pattern.ts";

/** Text as whole numbers and back. */
export interface Tokenizer {
  readonly name: string;
  readonly vocabSize: number;
  /** The tokens between two documents: the end of a text where the tokenizer has a token for it, else a line feed (text8: a space). */
  readonly separator: Int32Array;
  /** The tokenizer as JSON; {@link tokenizerOf} makes it again. */
  readonly info: TokenizerInfo;
  /** @throws {DataError} if the text holds what it cannot write. */
  encode(text: string): Int32Array;
  decode(tokens: ArrayLike<number>): string;
}

/** A tokenizer as JSON, whole: a trained model that keeps it needs no training data to decode text. */
export type TokenizerInfo =
  | { readonly kind: "text8" }
  | { readonly kind: "bytes" }
  | { readonly kind: "json"; readonly name: string; readonly json: TokenizerJson };

/** The format of Hugging Face's tokenizer.json, of which these parts are read here. */
export interface TokenizerJson {
  /** Tokens with their numbers; of a Unigram model a list of [token, score]. */
  readonly model: {
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [token: string, score: number])[];
    /** The token for what is not in the vocabulary, or of a Unigram model its number. */
    readonly unk_token?: string | null;
    readonly unk_id?: number | null;
  };
  readonly pre_tokenizer?: PreTokenizerJson | null;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

/** A pre-tokenizer, or a row of them. */
export interface PreTokenizerJson {
  readonly type: string;
  readonly pretokenizers?: readonly PreTokenizerJson[];
}

const letters = "abcdefghijklmnopqrstuvwxyz ";

/** The 27 symbols of text8: a to z are 0 to 25, the space is 26. */
export const text8Tokenizer: Tokenizer = {
  name: "text8",
  vocabSize: letters.length,
  separator: Int32Array.of(letters.indexOf(" ")),
  info: { kind: "text8" },
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
  separator: Int32Array.of("\n".charCodeAt(0)),
  info: { kind: "bytes" },
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (tokens) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
};

/**
 * A tokenizer by name, text8 or bytes, or from a file in the format of Hugging Face's tokenizer.json.
 *
 * @param nameOrPath in a browser a name or an address.
 * @throws {DataError} if the file is missing, or is no tokenizer.
 */
export async function loadTokenizer(nameOrPath: string): Promise<Tokenizer> {
  const known = [text8Tokenizer, byteTokenizer].find(({ name }) => name === nameOrPath);
  if (known !== undefined) return known;
  const text = await readText(nameOrPath).catch((cause: unknown) => {
    const message = `There is no tokenizer at ${nameOrPath}. Give text8, bytes, or the path of a tokenizer.json.`;
    throw new DataError("noTokenizer", { nameOrPath }, message, { cause });
  });
  try {
    const file = nameOrPath.replace(/^.*[/\\]/, "");
    return tokenizerFromJson(JSON.parse(text.replace(/^\uFEFF/, "")), file.replace(/(\.tokenizer)?\.json$/, ""));
  } catch (cause) {
    const reason = cause instanceof DataError ? cause.data.reason : (cause as Error).message;
    throw new DataError("badTokenizer", { nameOrPath }, `${nameOrPath} is no tokenizer.json: ${reason}`, { cause });
  }
}

/**
 * A tokenizer from the content of a tokenizer.json.
 *
 * @param json the parsed file.
 * @throws {DataError} if it is no tokenizer; `data.reason` says why.
 */
export function tokenizerFromJson(json: unknown, name: string): Tokenizer {
  return refusing(name, () => fromJson(json as TokenizerJson, name));
}

/** What a tokenizer gives; its errors become errors of data that name it. */
function refusing<T>(name: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DataError("badTokenizer", { name, reason }, `${name} is no tokenizer.json: ${reason}`, { cause });
  }
}

/**
 * The tokenizer that `info` describes.
 *
 * @throws {DataError} if the JSON of a tokenizer.json is damaged.
 */
export function tokenizerOf(info: TokenizerInfo): Tokenizer {
  if (info.kind === "json") return tokenizerFromJson(info.json, info.name);
  return info.kind === "text8" ? text8Tokenizer : byteTokenizer;
}

function fromJson(json: TokenizerJson, name: string): Tokenizer {
  const vocabSize = 1 + largestId(json);
  const { model: _, added_tokens: __, ...steps } = json;
  checkPatterns(steps);
  // Without the clean-up of spaces, which is for reading: what is decoded is the text that was encoded.
  const inner = new JsonTokenizer(withUnicodeWords(json), { clean_up_tokenization_spaces: false });
  const end = json.added_tokens?.find(({ content }) => ["<|endoftext|>", "</s>", "<|end_of_text|>"].includes(content));
  const unknown = unknownId(json);
  const encode = (text: string): Int32Array => {
    // The library leaves words that a WordLevel model does not know without a number.
    const { ids } = inner.encode(text, { add_special_tokens: false }) as { ids: readonly (number | undefined)[] };
    return Int32Array.from(ids, (given) => {
      const id = given ?? unknown;
      if (id !== undefined && Number.isInteger(id) && id >= 0 && id < vocabSize) return id;
      throw new RangeError(`it has no token for a part of the text, and no unk_token (it gives ${id})`);
    });
  };
  return {
    name,
    vocabSize,
    separator: end === undefined ? encode("\n") : Int32Array.of(end.id),
    info: { kind: "json", name, json },
    encode: (text) => {
      const pieces = piecesOf(text).map((piece) => refusing(name, () => encode(piece)));
      const tokens = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        tokens.set(piece, at);
        at += piece.length;
      }
      return tokens;
    },
    decode: (tokens) => (tokens.length === 0 ? "" : inner.decode(Array.from(tokens), { skip_special_tokens: false })),
  };
}

/** The longest pattern, and the deepest nesting, of a tokenizer.json. */
const [maxPatternLength, maxDepth] = [4000, 20];

/** @throws {RangeError} if one of the patterns may take time without bound: see {@link mayExplode}. */
function checkPatterns(part: unknown, depth = 0): void {
  if (typeof part !== "object" || part === null) return;
  if (depth > maxDepth) throw new RangeError(`its parts are nested more than ${maxDepth} deep`);
  const { Regex: source } = part as { Regex?: unknown };
  if (typeof source === "string" && (source.length > maxPatternLength || mayExplode(source)))
    throw new RangeError(`its pattern ${JSON.stringify(source.slice(0, 60))} may take time without bound; repeat no group that repeats`);
  for (const inner of Object.values(part)) checkPatterns(inner, depth + 1);
}

/** The number of the token for what is not in the vocabulary; undefined if there is none. */
function unknownId({ model: { vocab, unk_token: token, unk_id: id }, added_tokens: added }: TokenizerJson): number | undefined {
  if (typeof token !== "string") return id ?? undefined;
  const own = Array.isArray(vocab) || !Object.hasOwn(vocab, token) ? undefined : (vocab as Readonly<Record<string, number>>)[token];
  return own ?? added?.find(({ content }) => content === token)?.id;
}

/** @throws {RangeError} if there are no tokens, or one has a number that is none or too large. */
function largestId({ model, added_tokens: added }: TokenizerJson): number {
  const { vocab } = model ?? {};
  if (typeof vocab !== "object" || vocab === null) throw new RangeError("it has no model.vocab");
  if (added !== undefined && added !== null && !Array.isArray(added)) throw new RangeError("its added_tokens are no list");
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(vocab)
    ? vocab.map((entry, id) => [(entry as readonly unknown[] | null)?.[0], id])
    : Object.entries(vocab);
  let largest = -1;
  for (const [token, id] of [...entries, ...(added ?? []).map((one) => [one?.content, one?.id] as const)]) {
    if (typeof token !== "string" || !Number.isInteger(id) || (id as number) < 0 || (id as number) >= readLimits.vocabulary) {
      const given = JSON.stringify(id) ?? "nothing";
      throw new RangeError(
        `the token ${JSON.stringify(token)} has the number ${given.slice(0, 40)}; expected is 0 to ${readLimits.vocabulary - 1}`,
      );
    }
    largest = Math.max(largest, id as number);
  }
  if (largest < 0) throw new RangeError("its vocabulary is empty");
  return largest;
}

/**
 * The pre-tokenizer Whitespace with the word letters of every script, as its definition has them; the library's
 * knows those of ASCII only.
 *
 * @see https://docs.rs/regex/latest/regex/#perl-character-classes-unicode-friendly
 */
function withUnicodeWords(json: TokenizerJson): TokenizerJson {
  const word = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
  const pattern = { Regex: String.raw`${word}+|(?!${word})[^\s]+?(?=${word}|\s|$)` };
  const mended = (part: PreTokenizerJson): PreTokenizerJson => {
    if (part.type === "Whitespace") return { type: "Split", pattern, behavior: "Removed", invert: true } as PreTokenizerJson;
    return part.pretokenizers === undefined ? part : { ...part, pretokenizers: part.pretokenizers.map(mended) };
  };
  return json.pre_tokenizer ? { ...json, pre_tokenizer: mended(json.pre_tokenizer) } : json;
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

/**
 * The first place after `length` characters where a text can be cut without splitting a token: between a letter and a space. Where there
 * is none for 16 times as long, it is cut there all the same, so that no text is held whole.
 *
 * @returns a number of characters, or undefined if there is no such place yet.
 */
export function cutAfter(text: string, length: number): number | undefined {
  if (text.length <= length) return undefined;
  const longest = 16 * length;
  const cut = text.slice(length, longest).search(/(?<=[a-z]) (?=[a-z])/i);
  if (cut >= 0) return length + cut;
  if (text.length <= longest) return undefined;
  const isSplit = /[\ud800-\udbff]/.test(text[longest - 1]!); // a character of two halves
  return isSplit ? longest - 1 : longest;
}
