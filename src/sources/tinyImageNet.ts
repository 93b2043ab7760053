import { readdir } from "node:fs/promises";
import { join, sep } from "node:path";
import type { ImageDataset, ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { cachedImages } from "./archiveCache.ts";
import { imageFileName, maxImageFileBytes } from "./decodeImage.ts";
import { collectImages, type ImageFile } from "./imageCollection.ts";
import type { FormatSource, ImageFormat } from "./imageFormat.ts";
import { wholeFile } from "./wholeFile.ts";
import { openZip } from "./zip.ts";

/** The file that only this data set has. */
const classList = "wnids.txt";

/**
 * Tiny-ImageNet as published, as a folder or a zip: train/WNID/images/*.JPEG, and val/images/*.JPEG with their classes in
 * val/val_annotations.txt, which are the test part; its own test images have no classes. Names of classes are the first words of words.txt.
 */
export const tinyImageNetFormat: ImageFormat = {
  name: "tiny-imagenet",
  description: "Tiny-ImageNet as published",
  recognises: (path, files) => (files === undefined ? /tiny-imagenet-200[^/]*\.zip$/i.test(path) : files.includes(classList)),
  load: async (path, source) => {
    if (source.files.length > 0) return await loadTree(path, await folderTree(path), source);
    return await cachedImages(path, source, async () => {
      await using archive = await openZip(path, source.limits);
      const entries = archive.entries.filter(({ name }) => name.includes("/"));
      const files = entries.map(({ name, size, read }) => [name.slice(name.indexOf("/") + 1), { size, read }] as const);
      return await loadTree(path, new Map(files), source);
    });
  },
};

/** Files by their paths below the folder of the data set. */
type Tree = ReadonlyMap<string, { readonly size: number; read(): Promise<Uint8Array> }>;

async function folderTree(folder: string): Promise<Tree> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return new Map(
    files.sort().map((path) => [
      path
        .slice(folder.length + 1)
        .split(sep)
        .join("/"),
      { size: 0, read: () => wholeFile(path) },
    ]),
  );
}

async function loadTree(path: string, tree: Tree, source: FormatSource): Promise<ImageDataset> {
  const text = async (name: string): Promise<string[]> => {
    const file = tree.get(name);
    if (file === undefined) throw new DataError("missingFile", { path, name }, `${path} has no ${name}. Unpack the archive again.`);
    return new TextDecoder()
      .decode(await file.read())
      .split("\n")
      .filter((line) => line !== "");
  };
  const ids = (await text(classList)).map((line) => line.trim());
  const words = new Map((await text("words.txt")).map((line) => line.split("\t") as [string, string]));
  const nameOf = (id: string): string => words.get(id)?.split(",")[0]?.trim() || id;
  const ambiguous = ids.map(nameOf).filter((name, i, all) => all.indexOf(name) !== i);
  const classNames = ids.map((id) => (ambiguous.includes(nameOf(id)) ? `${nameOf(id)} (${id})` : nameOf(id)));
  const byId = new Map(ids.map((id, k) => [id, classNames[k]!]));
  const annotations = new Map((await text("val/val_annotations.txt")).map((line) => line.split("\t") as [string, string]));
  return await collectImages("tiny-imagenet", path, imagesIn(path, tree, byId, annotations, source.limits), { ...source, classNames });
}

async function* imagesIn(
  path: string,
  tree: Tree,
  classes: ReadonlyMap<string, string>,
  annotations: ReadonlyMap<string, string>,
  limits: ReadLimits,
): AsyncGenerator<ImageFile> {
  const mostBytes = maxImageFileBytes(limits);
  let seen = 0;
  for (const [name, { size, read }] of tree) {
    seen++;
    const [split, ...inner] = name.split("/");
    const file = inner.at(-1)!;
    const id = split === "train" ? inner[0] : split === "val" ? annotations.get(file) : undefined;
    if (id === undefined || file === undefined || !imageFileName.test(file)) continue;
    const className = classes.get(id);
    if (className === undefined || size > mostBytes) {
      const what =
        className === undefined ? `is of class ${id}, which ${classList} does not have` : `has ${size} bytes; ${mostBytes} are allowed`;
      throw new DataError("unknownClass", { path, name }, `${path}:${name} ${what}. Unpack the archive again.`);
    }
    yield { path: `${path}:${name}`, split: split!, className, name: file, content: await read(), fraction: seen / tree.size };
  }
}
