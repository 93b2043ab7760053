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

/** The formats that are recognised, the first that fits being taken. */
const formats: ImageFormat[] = [
  ...cifarFormats,
  mnistFormat,
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

/**
 * Reads a data set whose format is recognised by what is there; `embedded` is generated.
 *
 * @throws {DataError} if the path is missing, nothing is recognised, or a file is damaged.
 */
export async function loadImages(
  path: string,
  {
    onProgress,
    cacheFolder = defaultCacheFolder(),
    imageSize,
    valSplit = heldOutShare,
    label,
    limits,
    onNotice = () => {},
  }: LoadOptions = {},
): Promise<ImageDataset> {
  if (path === "embedded") return generateEmbedded();
  const info = await stat(path).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There is no data at ${path}. Give ${accepted()}.`, { cause });
  });
  if (!info.isFile() && !info.isDirectory()) {
    throw new DataError("notFile", { path }, `${path} is neither a file nor a folder. Give ${accepted()}.`);
  }
  const files = info.isFile() ? undefined : await readdir(path);
  const format = await firstOf(formats, path, files);
  const source = {
    onProgress,
    cacheFolder,
    imageSize,
    valSplit,
    label,
    onNotice,
    files: files ?? [],
    limits: { ...readLimits, ...limits },
  };
  if (format !== undefined) return format.load(path, source);
  const what =
    files === undefined
      ? `${path} is a file of unknown format`
      : `${path} holds no known data set (first files: ${files.slice(0, 3).join(", ") || "none"})`;
  throw new DataError("unknownFormat", { path, ...(files && { files: files.slice(0, 5) }) }, `${what}. Give ${accepted()}.`);
}

async function firstOf(all: readonly ImageFormat[], path: string, files: readonly string[] | undefined): Promise<ImageFormat | undefined> {
  for (const format of all) if (await format.recognises(path, files)) return format;
  return undefined;
}

function accepted(): string {
  return [...formats.map(({ description }) => description), "or the word embedded"].join(", ");
}
