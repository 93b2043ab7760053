import {
  type Augmentation,
  augmentationSheet,
  encodePngGrid,
  generateEmbedded,
  type ImageDataset,
  readTokens,
  type TextDataset,
  type Tokens,
  unigramEntropy,
} from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { LoadOptions } from "./imageFormat.ts";
import { loadImages, recogniseImages } from "./load.ts";
import { loadText } from "./loadText.ts";
import { pathOfData } from "./published.ts";
import { openText } from "./textSource.ts";

/** What stands in an image data set. */
export interface ImageDataInfo {
  readonly kind: "images";
  readonly name: string;
  /** The format that was recognised. */
  readonly format: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Whether the values are numbers, and no pixels. */
  readonly isNumbers: boolean;
  readonly train: number;
  readonly test: number;
  /** Of each channel, pixels being in [0, 1]: what normalisation subtracts and divides by. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: readonly { readonly name: string; readonly train: number; readonly test: number }[];
}

/** What stands in a text. */
export interface TextDataInfo {
  readonly kind: "text";
  readonly name: string;
  readonly tokenizer: string;
  readonly vocabSize: number;
  /** Of the vocabulary, how many occur in the training part. */
  readonly used: number;
  readonly documents: number;
  readonly characters: number;
  /** Characters of a document: the shortest, the quartiles, the longest. */
  readonly documentLengths: readonly number[];
  readonly tokens: { readonly train: number; readonly validation: number; readonly test: number };
  readonly charactersPerToken: number;
  /** Entropy of single tokens of the validation part, in bits: what a model without context reaches at best. */
  readonly unigramBits: number;
  /** The most frequent tokens of the training part, with their shares. */
  readonly frequent: readonly { readonly token: string; readonly share: number }[];
}

export type DataInfo = ImageDataInfo | TextDataInfo;

export interface DataInfoOptions extends LoadOptions {
  readonly tokenizer?: string | undefined;
  /** The augmentation of the sheet; images as they are without. */
  readonly augmentation?: Augmentation | undefined;
}

/** What was found, and a sheet of images as PNG where there are some. */
export interface DescribedData {
  readonly info: DataInfo;
  readonly sheet: Uint8Array | undefined;
}

/**
 * Reads a data set and says what is in it.
 *
 * @throws {DataError} if there is none, or it is damaged.
 */
export async function dataInfo(path: string, { tokenizer = "auto", augmentation, ...load }: DataInfoOptions = {}): Promise<DescribedData> {
  const images = await imagesAt(path, load);
  if (images === undefined) return { info: await textInfo(path, await loadText(path, tokenizer, load)), sheet: undefined };
  const { data, format } = images;
  return {
    info: imageDataInfo(data, format),
    sheet: augmentation === undefined ? plainSheet(data) : augmentationSheet(data, augmentation),
  };
}

/** Endings of texts; parquet files may hold either. */
const textName = /\.(txt|jsonl|ndjson|json|md)$/i;

async function imagesAt(path: string, load: LoadOptions): Promise<{ readonly data: ImageDataset; readonly format: string } | undefined> {
  if (path === "embedded") return { data: generateEmbedded(), format: "generated" };
  if (textName.test(path)) return undefined;
  try {
    const { format } = await recogniseImages(path);
    return { data: await loadImages(path, load), format: format.name };
  } catch (error) {
    const isOther = error instanceof DataError && ["unknownFormat", "noImages"].includes(error.code);
    if (isOther && (await isText(path))) return undefined;
    throw error;
  }
}

/** Whether there is a text at a path; what names no kind is a text if it is a file of UTF-8. */
async function isText(path: string): Promise<boolean> {
  try {
    const source = await openText(await pathOfData(path));
    for await (const _ of source.pieces()) return true;
  } catch {
    // Then it is no text either: what was wrong with the images is said.
  }
  return false;
}

function imageDataInfo(data: ImageDataset, format: string): ImageDataInfo {
  const { name, train, test, classNames, mean, std, isLatent = false } = data;
  const count = (labels: Int32Array, k: number): number => labels.reduce((sum, label) => sum + Number(label === k), 0);
  return {
    kind: "images",
    name,
    format,
    channels: train.channels,
    height: train.height,
    width: train.width,
    isNumbers: isLatent,
    train: train.count,
    test: test.count,
    mean,
    std,
    classes: classNames.map((className, k) => ({ name: className, train: count(train.labels, k), test: count(test.labels, k) })),
  };
}

/** Images of a sheet, evenly spread over the training part. */
const [rows, columns] = [8, 16];

function plainSheet({ train }: ImageDataset): Uint8Array | undefined {
  const { images, count, channels, height, width } = train;
  if (images instanceof Float32Array || (channels !== 1 && channels !== 3)) return undefined;
  const shown = Math.min(rows * columns, count);
  const pixels = channels * height * width;
  const picked = new Uint8Array(shown * pixels);
  for (let i = 0; i < shown; i++) {
    const item = Math.floor((i * count) / shown);
    picked.set(images.subarray(item * pixels, (item + 1) * pixels), i * pixels);
  }
  const scale = Math.max(1, Math.round(48 / Math.max(height, width)));
  return encodePngGrid(picked, { count: shown, channels, height, width, columns, scale });
}

const shownTokens = 20;

async function textInfo(path: string, { name, tokenizer, train, validation, test }: TextDataset): Promise<TextDataInfo> {
  const lengths = await documentLengths(path);
  const { vocabSize } = tokenizer;
  const counts = countTokens(train, vocabSize);
  const order = Array.from(counts.keys()).sort((a, b) => counts[b]! - counts[a]! || a - b);
  const characters = lengths.reduce((sum, length) => sum + length, 0);
  const total = train.length + validation.length + test.length;
  return {
    kind: "text",
    name,
    tokenizer: tokenizer.name,
    vocabSize,
    used: counts.reduce((sum, count) => sum + Number(count > 0), 0),
    documents: lengths.length,
    characters,
    documentLengths: [0, 0.25, 0.5, 0.75, 1].map((share) => lengths[Math.round(share * (lengths.length - 1))] ?? 0),
    tokens: { train: train.length, validation: validation.length, test: test.length },
    charactersPerToken: characters / total,
    unigramBits: unigramEntropy(validation, vocabSize) / Math.LN2,
    frequent: order
      .slice(0, shownTokens)
      .filter((token) => counts[token]! > 0)
      .map((token) => ({ token: tokenizer.decode([token]), share: counts[token]! / train.length })),
  };
}

/** Characters of each document, in rising order. */
async function documentLengths(path: string): Promise<number[]> {
  const source = await openText(await pathOfData(path));
  const lengths: number[] = [];
  let length = 0;
  for await (const { text, endsDocument } of source.pieces()) {
    length += text.length;
    if (!endsDocument) continue;
    lengths.push(length);
    length = 0;
  }
  return lengths.sort((a, b) => a - b);
}

/** Tokens that are read at once. */
const atOnce = 2 ** 20;

function countTokens(tokens: Tokens, vocabSize: number): Float64Array {
  const counts = new Float64Array(vocabSize);
  for (let from = 0; from < tokens.length; from += atOnce)
    for (const token of readTokens(tokens, from, Math.min(tokens.length, from + atOnce))) counts[token]!++;
  return counts;
}
