import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ImageDataset, ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { classesOf, labelColumn } from "./columns.ts";
import { maxImageFileBytes } from "./decodeImage.ts";
import { collectImages, type ImageFile, splitNames } from "./imageCollection.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { openParquet, type ParquetFile, parquetName } from "./parquet.ts";

/** The sub-folder in which data sets of the Hugging Face Hub have their shards. */
const dataFolder = "data";

/**
 * Hugging Face's parquet shards of images: a file, or a folder (or its sub-folder data) with `train-00000-of-00001.parquet`, `test-…`. A
 * column has structures of `bytes`, PNG or JPEG files; another has the class, with its names beside the schema.
 */
export const imageShardsFormat: ImageFormat = {
  name: "parquet",
  description: "parquet shards with a column of images and one of classes (--label)",
  recognises: async (path, files) => (files === undefined ? parquetName.test(path) : (await shardsIn(path, files)).length > 0),
  load: async (path, source) => {
    const shards = source.files.length > 0 ? await shardsIn(path, source.files) : [{ path, split: "train" }];
    const open = await Promise.all(shards.map(async ({ path: file, split }) => ({ split, file: await openParquet(file, source.limits) })));
    return await loadShards(path, open, source.label, source);
  },
};

interface Shard {
  readonly split: string;
  readonly file: ParquetFile;
}

/** Shards with their parts, by name: what names no part is for training. */
async function shardsIn(folder: string, files: readonly string[]): Promise<readonly { readonly path: string; readonly split: string }[]> {
  const inner = files.includes(dataFolder) ? await readdir(join(folder, dataFolder)).catch(() => []) : [];
  const paths = [...files, ...inner.map((name) => join(dataFolder, name))].filter((name) => parquetName.test(name)).sort();
  return paths.map((name) => ({
    path: join(folder, name),
    split: splitNames.find((split) => basename(name).toLowerCase().startsWith(split)) ?? "train",
  }));
}

async function loadShards(
  path: string,
  shards: readonly Shard[],
  label: string | undefined,
  source: Parameters<ImageFormat["load"]>[1],
): Promise<ImageDataset> {
  const { file: first } = shards[0]!;
  const names = first.columns.map(({ element }) => element.name);
  const image = first.columns.find(({ children }) => children.some(({ element }) => element.name === "bytes"))?.element.name;
  const at = labelColumn(names, label);
  if (image === undefined || at === undefined) {
    const what = image === undefined ? "no column has images (a structure with bytes)" : "no column has classes: name it with --label";
    const message = `${first.path}: ${what}; its columns are ${names.slice(0, 10).join(", ") || "none"}. For text, train a model of text.`;
    throw new DataError("noImages", { path: first.path, columns: names.slice(0, 10) }, message);
  }
  const column = names[at]!;
  const values: string[] = [];
  for (const { file } of shards) for await (const row of file.rows([column])) values.push(String(row[column]));
  const classes = classesOf(values);
  const highest = classes.labels.reduce((a, b) => Math.max(a, b), 0);
  if (highest >= source.limits.classes) {
    const message = `${path}: a row of ${column} is ${highest}; classes are numbered from 0, up to ${source.limits.classes - 1} with the limit of --max-classes.`;
    throw new DataError("labelOutOfRange", { path, label: highest }, message);
  }
  const known = classes.names ?? first.features[column]?.names;
  const classNames = Array.from({ length: Math.max(highest + 1, known?.length ?? 0) }, (_, k) => known?.[k] ?? String(k));
  const files = imagesOf(shards, image, (row) => classNames[classes.labels[row]!]!, source.limits);
  return await collectImages(basename(path).replace(parquetName, ""), path, files, { ...source, classNames });
}

async function* imagesOf(
  shards: readonly Shard[],
  column: string,
  classOf: (row: number) => string,
  limits: ReadLimits,
): AsyncGenerator<ImageFile> {
  const total = shards.reduce((sum, { file }) => sum + file.numRows, 0);
  const mostBytes = maxImageFileBytes(limits);
  let all = 0;
  for (const { split, file } of shards) {
    let row = 0;
    for await (const { [column]: image } of file.rows([column])) {
      const path = `${file.path}, row ${row++}`;
      const { bytes } = (image ?? {}) as { bytes?: unknown };
      if (!(bytes instanceof Uint8Array) || bytes.length > mostBytes) {
        const what = bytes instanceof Uint8Array ? `has ${bytes.length} bytes; ${mostBytes} are allowed` : "has no bytes of an image in it";
        throw new DataError("noImage", { path }, `${path}: ${column} ${what}. Write the files of the images into the shards.`);
      }
      yield { path, split, className: classOf(all++), name: String(all).padStart(10, "0"), content: bytes, fraction: all / total };
    }
  }
}
