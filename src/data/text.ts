import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { fold, integer, key } from "../random.ts";
import { defaultCacheFolder } from "./archiveCache.ts";
import { openText, type TextSource } from "./textSource.ts";
import { readTokens, type Tokens, TokenWriter, tokensInFile, tokensOf } from "./tokenFile.ts";
import { byteTokenizer, loadTokenizer, type Tokenizer, type TokenizerInfo, text8Tokenizer } from "./tokenizer.ts";

/** A text in three parts, as tokens. */
export interface TextDataset {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly train: Tokens;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/** What a trained model must know of its text. */
export interface TextInfo {
  readonly name: string;
  readonly vocabSize: number;
  readonly tokenizer: TokenizerInfo;
}

export interface LoadTextOptions {
  /** Told how many tokens there are so far, and how much of the text is read. */
  readonly onProgress?: ((tokens: number, fraction: number) => void) | undefined;
  /** Where tokens are kept, so that a text is tokenised once; $XDG_CACHE_HOME/dblocks unless told. */
  readonly cacheFolder?: string;
}

/**
 * Reads a text of any size, see {@link openText}, and tokenises it once. Of a single document the first 90 % are for training, 5 % for validation, the last 5 % for tests, as text8 is divided; of several each is in one part,
 * by its number, and they are packed one behind the other with the tokenizer's end of text between them, or a line feed.
 *
 * @param tokenizer text8, bytes, or a tokenizer.json; `auto` takes text8 if nothing but its symbols occurs, else bytes.
 * @throws {DataError} if the text is missing, empty, or no UTF-8 (with the first byte that is not), or the tokenizer cannot be read.
 */
export async function loadText(path: string, tokenizer = "auto", options: LoadTextOptions = {}): Promise<TextDataset> {
  const source = await openText(path);
  const chosen = tokenizer === "auto" ? await fittingTokenizer(source) : await loadTokenizer(tokenizer);
  const { cacheFolder = defaultCacheFolder() } = options;
  const identity = createHash("sha256")
    .update(JSON.stringify([version, source.identity, await contentOf(tokenizer, chosen)]))
    .digest("hex");
  const name = basename(path).replace(/\.[^.]*$/, "");
  const kept = join(cacheFolder, `text-${identity.slice(0, 32)}`);
  const parts = (await keptParts(kept)) ?? (await tokenised(source, chosen, { path, kept, cacheFolder, onProgress: options.onProgress }));
  const [train, validation, test] = parts.map((part) =>
    "file" in part ? tokensInFile(part.file, part.from, part.length) : tokensOf(part.tokens),
  );
  const isSmall = train!.length * 4 <= inMemory;
  return {
    name,
    tokenizer: chosen,
    train: isSmall ? tokensOf(readTokens(train!)) : train!,
    validation: readTokens(validation!),
    test: readTokens(test!),
  };
}

/** Changes with what is kept. */
const version = 1;

/** Training tokens up to so many bytes are held in memory. */
const inMemory = 2 ** 28;

async function fittingTokenizer(source: TextSource): Promise<Tokenizer> {
  for await (const { text, endsDocument } of source.pieces()) {
    if (!/^[a-z ]*$/.test(text)) return byteTokenizer;
    if (endsDocument && source.hasDocuments) return byteTokenizer; // they are parted by line feeds
  }
  return text8Tokenizer;
}

/** What a tokenizer is told apart by. */
async function contentOf(nameOrPath: string, tokenizer: Tokenizer): Promise<string> {
  if (tokenizer === text8Tokenizer || tokenizer === byteTokenizer) return tokenizer.name;
  return createHash("sha256")
    .update(await readFile(nameOrPath))
    .digest("hex");
}

/** Where the tokens of a part are. */
type Part = { readonly file: string; readonly from: number; readonly length: number } | { readonly tokens: Int32Array };

const partNames = ["train", "validation", "test"] as const;

/** Kept tokens: what was written last is the list of parts, so a folder with one is whole. */
async function keptParts(folder: string): Promise<readonly Part[] | undefined> {
  const text = await readFile(join(folder, "parts.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parts = JSON.parse(text) as readonly { readonly file: string; readonly from: number; readonly length: number }[];
  const found = parts.map(({ file, ...part }) => ({ file: join(folder, file), ...part }));
  const sizes = await Promise.all(found.map(async ({ file }) => (await stat(file).catch(() => ({ size: 0 }))).size));
  if (found.every(({ from, length }, i) => (from + length) * 4 <= sizes[i]!)) return found;
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

interface Tokenising {
  readonly path: string;
  readonly kept: string;
  readonly cacheFolder: string;
  readonly onProgress: LoadTextOptions["onProgress"];
}

/** Tokenises a text into files that are kept, or where none can be written into memory. */
async function tokenised(
  source: TextSource,
  tokenizer: Tokenizer,
  { path, kept, cacheFolder, onProgress }: Tokenising,
): Promise<readonly Part[]> {
  const folder = await mkdir(cacheFolder, { recursive: true, mode: 0o700 })
    .then(() => mkdtemp(join(cacheFolder, "text-unfinished-")))
    .catch(() => undefined);
  const sinks = partNames.map((part): Sink => (folder === undefined ? new MemorySink() : new TokenWriter(join(folder, part))));
  try {
    let document = 0;
    const between = tokenizer.endOfText ?? tokenizer.encode(tokenizer === text8Tokenizer ? " " : "\n");
    for await (const { text, endsDocument, at, done } of source.pieces()) {
      const sink = sinks[source.hasDocuments ? partOf(document) : 0]!;
      sink.append(encoded(tokenizer, text, at, path));
      if (endsDocument && source.hasDocuments) sink.append(between);
      if (endsDocument) document++;
      onProgress?.(
        sinks.reduce((sum, { length }) => sum + length, 0),
        done,
      );
    }
    for (const sink of sinks) sink.close();
    const total = sinks.reduce((sum, { length }) => sum + length, 0);
    if (total === 0) throw new DataError("empty", { path }, `${path} is empty.`);
    const places = source.hasDocuments
      ? partNames.map((part, i) => ({ file: part as string, from: 0, length: sinks[i]!.length }))
      : cut(total);
    if (folder === undefined)
      return places.map(({ file, from, length }) => ({
        tokens: (sinks[partNames.indexOf(file as "train")] as MemorySink).tokens(from, length),
      }));
    await writeFile(join(folder, "parts.json"), JSON.stringify(places));
    // Another process may have been faster: then its files serve as well.
    await rename(folder, kept).catch(() => rm(folder, { recursive: true, force: true }));
    return (await keptParts(kept))!;
  } catch (error) {
    for (const sink of sinks) sink.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A single document is in the first file: 90 %, 5 % and 5 % of it. */
function cut(total: number): { readonly file: string; readonly from: number; readonly length: number }[] {
  const ends = [0, ...[0.9, 0.95].map((share) => Math.floor(share * total)), total];
  return partNames.map((_, i) => ({ file: "train", from: ends[i]!, length: ends[i + 1]! - ends[i]! }));
}

/** Of twenty documents one is for validation and one for tests. */
function partOf(document: number): number {
  return document % 20 === 18 ? 1 : document % 20 === 19 ? 2 : 0;
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

/** Takes tokens as they come. */
interface Sink {
  readonly length: number;
  append(tokens: Int32Array): void;
  close(): void;
}

class MemorySink implements Sink {
  length = 0;
  readonly #pieces: Int32Array[] = [];

  append(tokens: Int32Array): void {
    this.#pieces.push(tokens);
    this.length += tokens.length;
  }

  close(): void {}

  tokens(from: number, length: number): Int32Array {
    const all = new Int32Array(this.length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all.subarray(from, from + length);
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
export function textBatches(tokens: Tokens, { length, batchSize, seed }: { length: number; batchSize: number; seed: number }): TextBatches {
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

/** The entropy of single tokens in nats: what a model without context can reach. */
export function unigramEntropy(tokens: Int32Array, vocabSize: number): number {
  const counts = new Float64Array(vocabSize);
  for (const token of tokens) counts[token]!++;
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / tokens.length) * Math.log(count / tokens.length)), 0);
}
