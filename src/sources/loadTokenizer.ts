import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { byteTokenizer, type Tokenizer, text8Tokenizer, tokenizerFromJson } from "../data/index.ts";
import { DataError } from "../errors.ts";

/**
 * A tokenizer by name, text8 or bytes, or from a file in the format of Hugging Face's tokenizer.json.
 *
 * @throws {DataError} if the file is missing, or is no tokenizer.
 */
export async function loadTokenizer(nameOrPath: string): Promise<Tokenizer> {
  const known = [text8Tokenizer, byteTokenizer].find(({ name }) => name === nameOrPath);
  if (known !== undefined) return known;
  const text = await readFile(nameOrPath, "utf8").catch((cause: unknown) => {
    const message = `There is no tokenizer at ${nameOrPath}. Give text8, bytes, or the path of a tokenizer.json.`;
    throw new DataError("noTokenizer", { nameOrPath }, message, { cause });
  });
  try {
    return tokenizerFromJson(JSON.parse(text), basename(nameOrPath).replace(/(\.tokenizer)?\.json$/, ""));
  } catch (cause) {
    const reason = cause instanceof DataError ? cause.data.reason : (cause as Error).message;
    throw new DataError("badTokenizer", { nameOrPath }, `${nameOrPath} is no tokenizer.json: ${reason}`, { cause });
  }
}
