import { readdir, stat } from "node:fs/promises";
import { generateEmbedded, heldOutShare, type ImageDataset, readLimits } from "../data/index.ts";
import { DataError, UsageError } from "../errors.ts";
import { defaultCacheFolder } from "./archiveCache.ts";
import { arraysFormat } from "./arrays.ts";
import { cifarFormats } from "./cifar.ts";
import { csvFormat } from "./csv.ts";
import { imageArchiveFormat } from "./imageArchive.ts";
import { classFolderFormat, imageFolderFormat } from "./imageFolder.ts";
import type { ImageFormat, LoadOptions } from "./imageFormat.ts";
import { imageShardsFormat } from "./imageShards.ts";
import { latentsFormat } from "./latents.ts";
import { mnistFormat } from "./mnist.ts";
import { pathOfData } from "./published.ts";
import { tinyImageNetFormat } from "./tinyImageNet.ts";

/** The formats that are recognised, the first that fits being taken. */
const formats: ImageFormat[] = [
  ...cifarFormats,
  mnistFormat,
  tinyImageNetFormat,
  imageFolderFormat,
  imageArchiveFormat,
  latentsFormat,
  arraysFormat,
  csvFormat,
  imageShardsFormat,
  classFolderFormat,
];

/** Makes a format of one's own known; it is asked before the others. @throws {UsageError} if there is one of this name. */
export function addImageFormat(format: ImageFormat): void {
  const { name } = format;
  if (formats.some((one) => one.name === name)) throw new UsageError("nameTaken", { name }, `There is an image format "${name}" already.`);
  formats.unshift(format);
}

/** What was recognised at a path. */
export interface RecognisedImages {
  readonly format: ImageFormat;
  readonly path: string;
  /** Names in the folder; none of a file. */
  readonly files: readonly string[];
}

/**
 * Recognises a data set by what is there.
 *
 * @param path of a file or folder, or the name of a published data set that was downloaded.
 * @throws {DataError} if the path is missing, or nothing is recognised.
 */
export async function recogniseImages(path: string): Promise<RecognisedImages> {
  const place = await pathOfData(path);
  const info = await stat(place).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There is no data at ${path}. Give ${accepted()}.`, { cause });
  });
  if (!info.isFile() && !info.isDirectory()) {
    throw new DataError("notFile", { path }, `${path} is neither a file nor a folder. Give ${accepted()}.`);
  }
  const files = info.isFile() ? undefined : await readdir(place);
  const format = await firstOf(formats, place, files);
  if (format !== undefined) return { format, path: place, files: files ?? [] };
  const what =
    files === undefined
      ? `${path} is a file of unknown format`
      : `${path} holds no known data set (first files: ${files.slice(0, 3).join(", ") || "none"})`;
  throw new DataError("unknownFormat", { path, ...(files && { files: files.slice(0, 5) }) }, `${what}. Give ${accepted()}.`);
}

/**
 * Reads a data set whose format is recognised by what is there; `embedded` is generated, names of published data sets are looked for where
 * they were downloaded.
 *
 * @throws {DataError} if the path is missing, nothing is recognised, or a file is damaged.
 */
export async function loadImages(path: string, options: LoadOptions = {}): Promise<ImageDataset> {
  if (path === "embedded") return generateEmbedded();
  const {
    onProgress,
    cacheFolder = defaultCacheFolder(),
    imageSize,
    valSplit = heldOutShare,
    label,
    limits,
    onNotice = () => {},
  } = options;
  const { format, path: place, files } = await recogniseImages(path);
  return await format.load(place, {
    onProgress,
    cacheFolder,
    imageSize,
    valSplit,
    label,
    onNotice,
    files,
    limits: { ...readLimits, ...limits },
  });
}

async function firstOf(all: readonly ImageFormat[], path: string, files: readonly string[] | undefined): Promise<ImageFormat | undefined> {
  for (const format of all) if (await format.recognises(path, files)) return format;
  return undefined;
}

function accepted(): string {
  return [...formats.map(({ description }) => description), "or the word embedded"].join(", ");
}
