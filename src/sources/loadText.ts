import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import {
  byteTokenizer,
  generateEmbeddedText,
  loadTokenizer,
  readTokens,
  type TextDataset,
  type Tokenizer,
  text8Tokenizer,
  tokensOf,
} from "../data/index.ts";
import { defaultCacheFolder } from "./archiveCache.ts";
import { pathOfData } from "./published.ts";
import { openText, type TextSource } from "./textSource.ts";
import { keptTokens, type TokenProgress, tokenise } from "./tokenise.ts";

export interface LoadTextOptions {
  readonly onProgress?: TokenProgress | undefined;
  /** Tokens are kept here, so that a text is tokenised once. Default: $XDG_CACHE_HOME/dblocks. */
  readonly cacheFolder?: string;
  /** Called once with what was passed over in a folder. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/**
 * Reads a text of any size, see {@link openText}, and tokenises it once. Of a single document the first 90 % are for training, 5 %
 * for validation, the last 5 % for tests, as text8 is divided. Of several documents each is in one part, by its number, and they
 * are packed one behind the other with the tokenizer's separator between them. `embedded` is generated.
 *
 * @param tokenizer text8, bytes, or the path of a tokenizer.json; `auto` takes text8 if nothing but its symbols occurs, else bytes.
 * @throws {DataError} if the text is missing, empty, or no UTF-8 (with the first byte that is not), or the tokenizer cannot be read.
 */
export async function loadText(path: string, tokenizer = "auto", options: LoadTextOptions = {}): Promise<TextDataset> {
  if (path === "embedded")
    return generateEmbeddedText({ tokenizer: tokenizer === "auto" ? text8Tokenizer : await loadTokenizer(tokenizer) });
  const { cacheFolder = defaultCacheFolder(), onProgress, onNotice } = options;
  const source = await openText(await pathOfData(path), onNotice);
  const chosen = tokenizer === "auto" ? await fittingTokenizer(source) : await loadTokenizer(tokenizer);
  const identity = createHash("sha256")
    .update(JSON.stringify([version, source.identity, chosen.info]))
    .digest("hex");
  const kept = join(cacheFolder, `text-${identity.slice(0, 32)}`);
  const parts = (await keptTokens(kept)) ?? (await tokenise(source, chosen, { path, kept, cacheFolder, onProgress }));
  const [train, validation, test] = parts;
  const isSmall = train.length * Int32Array.BYTES_PER_ELEMENT <= inMemory;
  return {
    name: basename(path).replace(/\.[^.]*$/, ""),
    tokenizer: chosen,
    train: isSmall ? tokensOf(readTokens(train)) : train,
    validation: readTokens(validation),
    test: readTokens(test),
  };
}

/** Changes with the layout of the kept files, and with how a text is divided. */
const version = 2;

/** Training tokens up to so many bytes are held in memory. */
const inMemory = 2 ** 28;

async function fittingTokenizer(source: TextSource): Promise<Tokenizer> {
  for await (const { text, endsDocument } of source.pieces()) {
    if (!/^[a-z ]*$/.test(text)) return byteTokenizer;
    if (endsDocument && source.hasDocuments) return byteTokenizer; // line feeds stand between them
  }
  return text8Tokenizer;
}
