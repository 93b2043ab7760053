import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Tokenizer, type Tokens, textParts, tokensOf } from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { TextPart, TextSource } from "./textSource.ts";
import { bytesPerToken, TokenWriter, tokensInFile } from "./tokenFile.ts";

/** Called now and then with the number of tokens so far, and the share of the text that is read, from 0 to 1. */
export type TokenProgress = (tokens: number, fraction: number) => void;

/** Training, validation and test part. */
export type TokenParts = readonly [train: Tokens, validation: Tokens, test: Tokens];

const partNames = ["train", "validation", "test"] as const;

/** A part of the data set: tokens of one of the files. */
interface Place {
  readonly file: (typeof partNames)[number];
  readonly from: number;
  readonly length: number;
}

/** @returns the tokens that {@link tokenise} has kept in `folder`; undefined if there are none, or not all. */
export async function keptTokens(folder: string): Promise<TokenParts | undefined> {
  const list = await readFile(join(folder, "parts.json"), "utf8").catch(() => undefined); // written last: a folder that has it is whole
  if (list === undefined) return undefined;
  const places = placesIn(list);
  const isWhole = async ({ file, from, length }: Place): Promise<boolean> => {
    const { size } = await stat(join(folder, file)).catch(() => ({ size: 0 }));
    return (from + length) * bytesPerToken <= size;
  };
  if (places !== undefined && (await Promise.all(places.map(isWhole))).every(Boolean))
    return asParts(places.map(({ file, from, length }) => tokensInFile(join(folder, file), from, length)));
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

/** The parts that a list names; undefined if it is none: the text is tokenised anew then. */
function placesIn(list: string): readonly Place[] | undefined {
  try {
    const places = JSON.parse(list) as readonly Place[];
    const isPlace = ({ file, from, length }: Place): boolean =>
      partNames.includes(file) && [from, length].every((number) => Number.isSafeInteger(number) && number >= 0);
    return places.length === partNames.length && places.every(isPlace) ? places : undefined;
  } catch {
    return undefined;
  }
}

export interface TokeniseOptions {
  /** The path of the text, for messages. */
  readonly path: string;
  /** The folder of this text's tokens, inside `cacheFolder`. */
  readonly kept: string;
  readonly cacheFolder: string;
  readonly onProgress?: TokenProgress | undefined;
}

/** Tokenises a text into files that are kept, or into memory where no file can be written. */
export async function tokenise(source: TextSource, tokenizer: Tokenizer, options: TokeniseOptions): Promise<TokenParts> {
  const { path, kept, cacheFolder, onProgress } = options;
  const folder = await mkdir(cacheFolder, { recursive: true, mode: 0o700 })
    .then(() => mkdtemp(join(cacheFolder, "text-unfinished-")))
    .catch(() => undefined);
  if (folder === undefined) {
    const sinks = { train: new MemorySink(), validation: new MemorySink(), test: new MemorySink() };
    const places = await fill(sinks, source, tokenizer, path, onProgress);
    return asParts(places.map(({ file, from, length }) => sinks[file].tokens(from, length)));
  }
  const writer = (part: Place["file"]): TokenWriter => new TokenWriter(join(folder, part));
  const sinks = { train: writer("train"), validation: writer("validation"), test: writer("test") };
  const close = (): void => {
    for (const sink of Object.values(sinks)) sink.close();
  };
  try {
    const places = await fill(sinks, source, tokenizer, path, onProgress);
    close();
    await writeFile(join(folder, "parts.json"), JSON.stringify(places));
    // Another process may have been faster: then its files serve as well.
    await rename(folder, kept).catch(() => rm(folder, { recursive: true, force: true }));
    return (await keptTokens(kept))!;
  } catch (error) {
    close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function asParts(parts: readonly Tokens[]): TokenParts {
  return [parts[0]!, parts[1]!, parts[2]!];
}

/** A destination for tokens. */
interface Sink {
  readonly length: number;
  append(tokens: Int32Array): void;
}

/** Tokenises a text into one sink for each part; a single document goes into the first and is divided there. */
async function fill(
  sinks: Readonly<Record<Place["file"], Sink>>,
  source: TextSource,
  tokenizer: Tokenizer,
  path: string,
  onProgress?: TokenProgress,
): Promise<readonly Place[]> {
  const total = (): number => partNames.reduce((sum, part) => sum + sinks[part].length, 0);
  let document = 0;
  for await (const { text, endsDocument, at, done, part } of source.pieces()) {
    const sink = sinks[source.hasDocuments ? partOf(document, part, source.parts) : "train"];
    sink.append(encoded(tokenizer, text, at, path));
    if (endsDocument && source.hasDocuments) sink.append(tokenizer.separator);
    if (endsDocument) document++;
    onProgress?.(total(), done);
  }
  if (total() === 0) throw new DataError("empty", { path }, `${path} is empty.`);
  return source.hasDocuments
    ? partNames.map((file) => ({ file, from: 0, length: sinks[file].length }))
    : textParts(total()).map((range) => ({ file: "train", ...range }));
}

/**
 * The part that its file is named after; of twenty documents for training one is for validation and one for tests, where no file is named
 * after these.
 */
function partOf(document: number, named: TextPart | undefined, parts: ReadonlySet<TextPart>): TextPart {
  if (named === "validation" || named === "test") return named;
  const part = document % 20 === 18 ? "validation" : document % 20 === 19 ? "test" : "train";
  return parts.has(part) ? "train" : part;
}

function encoded(tokenizer: Tokenizer, text: string, at: number, path: string): Int32Array {
  try {
    return tokenizer.encode(text);
  } catch (error) {
    if (!(error instanceof DataError) || error.code !== "outsideAlphabet") throw error;
    const place = at + (error.data.at as number);
    const message = `${path} has ${JSON.stringify(error.data.character)} at character ${place}; the tokenizer text8 knows a to z and the space. Choose --tokenizer bytes, or prepare the text.`;
    throw new DataError("outsideAlphabet", { ...error.data, at: place }, message);
  }
}

class MemorySink implements Sink {
  length = 0;
  readonly #pieces: Int32Array[] = [];

  append(tokens: Int32Array): void {
    this.#pieces.push(tokens);
    this.length += tokens.length;
  }

  tokens(from: number, length: number): Tokens {
    const all = new Int32Array(this.length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return tokensOf(all.subarray(from, from + length));
  }
}
