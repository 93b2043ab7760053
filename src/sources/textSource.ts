import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { cutAfter, readLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { openParquet, parquetName } from "./parquet.ts";
import { PassedOver } from "./passedOver.ts";

/** Some text of a document, in order; the last piece of a document says so. */
export interface TextPiece {
  readonly text: string;
  readonly endsDocument: boolean;
  /** Where the piece starts in its file, in characters. */
  readonly at: number;
  /** Share of the source that is read, from 0 to 1. */
  readonly done: number;
  /** The part of the data set that its file is named after; undefined where that is decided by the number of the document. */
  readonly part?: TextPart | undefined;
}

export type TextPart = "train" | "validation" | "test";

/** A source of text. */
export interface TextSource {
  /** Path, size and time of every file: when one changes, so does the text. */
  readonly identity: string;
  /** Whether there may be more than one document. */
  readonly hasDocuments: boolean;
  /** The parts that files are named after. */
  readonly parts: ReadonlySet<TextPart>;
  pieces(): AsyncGenerator<TextPiece>;
}

/** Characters that are held at once, about. */
const pieceLength = 2 ** 16;

/**
 * Text of any size, read as a stream: a file of UTF-8 is one document, a `.jsonl` or `.ndjson` file has one
 * in each line, `{"text": "…"}`, a `.json` file a list of such, or of texts, a `.parquet` file one in each row of its column `text`, and a
 * folder one in each of its `.txt` files, or all of its parquet shards, in the order of their names. Hidden files and byte-order marks are
 * passed over. Where the files of a folder are named after parts (`train…`, `val…` or `dev…`, `test…`) they are these.
 *
 * @param onNotice called once with what is passed over.
 * @throws {DataError} if nothing is there; while reading, if a file is no UTF-8 (with the first byte that is not) or
 *   a line no such object.
 */
export async function openText(path: string, onNotice: (message: string) => void = () => {}): Promise<TextSource> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There is no text at ${path}. Give a file of UTF-8 text with --data.`, { cause });
  });
  if (!info.isFile() && !info.isDirectory()) {
    const message = `${path} is neither a file nor a folder; text is read more than once. Copy it into a file of UTF-8.`;
    throw new DataError("notFile", { path }, message);
  }
  const files = info.isDirectory() ? await textFiles(path, onNotice) : [path];
  const sizes = await Promise.all(files.map(async (file) => ({ file, ...pick(await stat(file)) })));
  const total = sizes.reduce((sum, { size }) => sum + size, 0);
  const partOf = partsByName(files);
  return {
    parts: new Set(partOf.values()),
    identity: JSON.stringify(sizes),
    hasDocuments: files.length > 1 || isLines(path) || isArray(path) || isParquet(files[0]!),
    async *pieces() {
      let before = 0;
      for (const { file, size } of sizes) {
        const within = (bytes: number): number => (before + bytes) / Math.max(1, total);
        for await (const piece of readerOf(file)(file, within)) yield { ...piece, part: partOf.get(file) };
        before += size;
      }
    },
  };
}

const partNames: readonly (readonly [TextPart, RegExp])[] = [
  ["train", /^(wiki\.)?train/i],
  ["validation", /^(wiki\.)?(val|dev)/i],
  ["test", /^(wiki\.)?test/i],
];

/** The part of each file, where all are named after one, training among them: `train.txt`, `validation-00000-of-00001.parquet`. */
function partsByName(files: readonly string[]): ReadonlyMap<string, TextPart> {
  const parts = files.map((file) => [file, partNames.find(([, pattern]) => pattern.test(basename(file)))?.[0]] as const);
  const isNamed = parts.every(([, part]) => part !== undefined) && new Set(parts.map(([, part]) => part)).size > 1;
  return isNamed && parts.some(([, part]) => part === "train") ? new Map(parts as [string, TextPart][]) : new Map();
}

/** Reads the documents of a file. */
type Reader = (file: string, done: (bytes: number) => number) => AsyncGenerator<TextPiece>;

function readerOf(file: string): Reader {
  return isLines(file) ? linesOf : isArray(file) ? arrayOf : isParquet(file) ? rowsOf : documentOf;
}

const isLines = (path: string): boolean => /\.(jsonl|ndjson)$/i.test(path);
const isArray = (path: string): boolean => /\.json$/i.test(path);
const isParquet = (path: string): boolean => parquetName.test(path);

function pick({ size, mtimeMs }: { size: number; mtimeMs: number }): { size: number; mtimeMs: number } {
  return { size, mtimeMs };
}

async function textFiles(folder: string, onNotice: (message: string) => void): Promise<string[]> {
  const passedOver = new PassedOver();
  const files: string[] = [];
  const shards: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) passedOver.add("hidden files", path);
    else if (entry.isDirectory()) passedOver.add("folders inside", path);
    else if (entry.isFile() || entry.isSymbolicLink() ? /\.txt$/i.test(entry.name) : false) files.push(path);
    else if (entry.isFile() && isParquet(entry.name)) shards.push(path);
    else passedOver.add("files that are not .txt", path);
  }
  const text = passedOver.text();
  if (text !== undefined) onNotice(`${folder}: ${text}`);
  if (files.length > 0 || shards.length > 0) return (files.length > 0 ? files : shards).sort();
  throw new DataError(
    "noText",
    { path: folder },
    `${folder} has neither .txt files nor parquet shards. Give a file of UTF-8 text, a .jsonl or .parquet file, or a folder of them.`,
  );
}

/** A whole file as one document; a line feed at its end is passed over. */
async function* documentOf(file: string, done: (bytes: number) => number): AsyncGenerator<TextPiece> {
  let rest = "";
  let at = 0;
  let share = 0;
  for await (const { text, bytes } of decoded(file)) {
    rest += text;
    share = done(bytes);
    for (let cut = cutAfter(rest, pieceLength); cut !== undefined; cut = cutAfter(rest, pieceLength)) {
      yield { text: rest.slice(0, cut), endsDocument: false, at, done: share };
      rest = rest.slice(cut);
      at += cut;
    }
  }
  yield { text: rest.replace(/\n$/, ""), endsDocument: true, at, done: share };
}

async function* linesOf(file: string, done: (bytes: number) => number): AsyncGenerator<TextPiece> {
  let rest = "";
  let line = 0;
  let share = 0;
  for await (const { text, bytes } of decoded(file)) {
    const [first, ...more] = text.split("\n");
    rest += first!;
    checkParsed(file, rest.length, `line ${line + 1}`);
    const lines = more.length === 0 ? [] : [rest, ...more.slice(0, -1)];
    rest = more.at(-1) ?? rest;
    share = done(bytes);
    for (const one of lines) {
      line++;
      if (one.trim() !== "") yield { text: textOf(one, file, line), endsDocument: true, at: 0, done: share };
    }
  }
  if (rest.trim() !== "") yield { text: textOf(rest, file, line + 1), endsDocument: true, at: 0, done: share };
}

/** A file with a list of documents, read whole. */
async function* arrayOf(file: string, done: (bytes: number) => number): AsyncGenerator<TextPiece> {
  let all = "";
  let share = 0;
  for await (const { text, bytes } of decoded(file)) {
    all += text;
    checkParsed(file, bytes, "the list");
    share = done(bytes);
  }
  const list = parsed(all);
  if (!Array.isArray(list)) {
    const message = `${file}: expected is a list of objects with a text, [{"text": "…"}, …].`;
    throw new DataError("badJson", { file }, message);
  }
  for (const [i, item] of list.entries()) {
    const text = typeof item === "string" ? item : textIn(item, file, `item ${i}`);
    yield { text, endsDocument: true, at: 0, done: share };
  }
}

/** The column of the texts: `text` or `content`, or the only one of texts. */
const textColumns = ["text", "content"];

/** Rows of a parquet file with a column of texts. */
async function* rowsOf(path: string, done: (bytes: number) => number): AsyncGenerator<TextPiece> {
  const file = await openParquet(path);
  const { size } = await stat(path);
  const texts = file.columns.filter(({ element }) => element.converted_type === "UTF8").map(({ element }) => element.name);
  const column = textColumns.find((name) => texts.includes(name)) ?? (texts.length === 1 ? texts[0] : undefined);
  if (column === undefined) {
    const names = file.columns.map(({ element }) => element.name).slice(0, 10);
    const message = `${path} has no column text; its columns are ${names.join(", ")}. Name the one of the texts so.`;
    throw new DataError("noText", { path, columns: names }, message);
  }
  let row = 0;
  for await (const { [column]: text } of file.rows([column])) {
    row++;
    if (typeof text === "string" && text !== "") yield { text, endsDocument: true, at: 0, done: done((size * row) / file.numRows) };
  }
}

/** @throws {DataError} if a text that is parsed as a whole becomes too long for it. */
function checkParsed(file: string, length: number, place: string): void {
  if (length <= readLimits.parsedLength) return;
  const message = `${file}, ${place}: longer than ${readLimits.parsedLength} characters. Give it as JSON lines, a text in each.`;
  throw new DataError("tooLong", { file, place }, message);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textOf(line: string, file: string, number: number): string {
  return textIn(parsed(line), file, `line ${number}`);
}

/** The text of a document, an object with one. */
function textIn(value: unknown, file: string, place: string): string {
  const { text } = (value ?? {}) as { text?: unknown };
  if (typeof text === "string") return text;
  const message = `${file}, ${place}: expected is an object with a text, {"text": "…"}.`;
  throw new DataError("badLine", { file, place }, message);
}

/** A file's text in chunks, with how many bytes were read. */
async function* decoded(file: string): AsyncGenerator<{ readonly text: string; readonly bytes: number }> {
  let carry: Uint8Array = new Uint8Array();
  let bytes = 0;
  const withoutMark = (text: string, start: number): string => (start === 0 ? text.replace(/^\uFEFF/, "") : text);
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    const all = Buffer.concat([carry, chunk as Buffer]);
    const whole = completeEnd(all);
    const start = bytes - carry.length;
    bytes += (chunk as Buffer).length;
    yield { text: withoutMark(decodeUtf8(all.subarray(0, whole), file, start), start), bytes };
    carry = all.subarray(whole);
  }
  if (carry.length > 0) yield { text: decodeUtf8(carry, file, bytes - carry.length), bytes };
}

/** Where the last whole sequence of UTF-8 ends. */
function completeEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function decodeUtf8(bytes: Uint8Array, path: string, start: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const at = start + firstInvalidByte(bytes);
    throw new DataError("notUtf8", { path, at }, `${path} is no UTF-8: byte ${at} does not fit. Convert it, e.g. with iconv.`, { cause });
  }
}

/** Where the first sequence that is no UTF-8 starts, by halving: whole text before it can be decoded. */
function firstInvalidByte(bytes: Uint8Array): number {
  let [low, high] = [0, bytes.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isUtf8(bytes.subarray(0, middle), true)) low = middle;
    else high = middle - 1;
  }
  // A sequence that was begun and not ended counts as whole in a stream: back to its start.
  while (!isUtf8(bytes.subarray(0, low), false)) low--;
  return low;
}

function isUtf8(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}
