import { readdir, stat } from "node:fs/promises";
import { DataError } from "../errors.ts";
import { defaultCacheFolder } from "./archiveCache.ts";
import { loadCifar10, loadCifar100 } from "./cifar.ts";
import type { ImageDataset } from "./dataset.ts";
import { generateEmbedded } from "./embedded.ts";
import { archiveName, loadImageArchive } from "./imageArchive.ts";
import type { Progress } from "./imageCollection.ts";
import { loadImageFolder } from "./imageFolder.ts";
import { loadLatents } from "./latents.ts";
import { loadMnist, mnistNames } from "./mnist.ts";

const accepted =
  "a folder with CIFAR-10's or CIFAR-100's binary files, a folder with MNIST's IDX files, a folder or .tar(.gz) with train/CLASS/*.png|jpg and test/CLASS/…, latent images as .safetensors, or the word embedded";

export interface LoadOptions {
  /** Told of image folders and archives, where every file must be decoded. */
  readonly onProgress?: Progress | undefined;
  /** Where large archives are kept decoded, so that the next run starts at once; $XDG_CACHE_HOME/dblocks unless told. */
  readonly cacheFolder?: string;
}

/**
 * Reads a data set whose format is recognised by what is there; `embedded` is generated.
 *
 * @throws {DataError} if the path is missing, nothing is recognised, or a file is damaged.
 */
export async function loadImages(
  path: string,
  { onProgress, cacheFolder = defaultCacheFolder() }: LoadOptions = {},
): Promise<ImageDataset> {
  if (path === "embedded") return generateEmbedded();
  const info = await stat(path).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There is no data at ${path}. Give ${accepted}.`, { cause });
  });
  if (info.isFile()) {
    if (archiveName.test(path)) return loadImageArchive(path, { onProgress, cacheFolder });
    if (path.endsWith(".safetensors")) return loadLatents(path);
    throw new DataError("unknownFormat", { path }, `${path} is a file of unknown format. Give ${accepted}.`);
  }
  const files = await readdir(path);
  if (files.some((name) => /^data_batch_\d+\.bin$/.test(name))) return loadCifar10(path, files);
  if (files.includes("train.bin")) return loadCifar100(path, files);
  if (mnistNames.train.some((name) => files.includes(name) || files.includes(`${name}.gz`))) return loadMnist(path, files);
  if (files.includes("train") || files.includes("test")) return loadImageFolder(path, onProgress);
  const message = `${path} holds no known data set (first files: ${files.slice(0, 3).join(", ") || "none"}). Give ${accepted}.`;
  throw new DataError("unknownFormat", { path, files: files.slice(0, 5) }, message);
}
