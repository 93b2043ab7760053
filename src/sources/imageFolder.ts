import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { imageFileName } from "./decodeImage.ts";
import { collectImages, type ImageFile, splitNames } from "./imageCollection.ts";
import type { ImageFormat } from "./imageFormat.ts";

/** FOLDER/{train,test}/CLASS/*.{png,jpg,jpeg}. Errors as of `collectImages`. */
export const imageFolderFormat: ImageFormat = {
  name: "image folder",
  description: "a folder with train/CLASS/*.png|jpg and test/CLASS/…",
  recognises: (_, files) => files !== undefined && splitNames.some((name) => files.includes(name)),
  load: (path, { onProgress }) => collectImages(basename(resolve(path)), path, filesOf(path), onProgress),
};

/** Files that are read at the same time. */
const readAhead = 32;

async function* filesOf(folder: string): AsyncGenerator<ImageFile> {
  const found: Omit<ImageFile, "bytes" | "fraction">[] = [];
  for (const split of splitNames) {
    for (const className of await foldersIn(join(folder, split))) {
      const names = (await readdir(join(folder, split, className))).filter((name) => imageFileName.test(name)).sort();
      found.push(...names.map((name) => ({ path: join(folder, split, className, name), split, className, name })));
    }
  }
  for (let first = 0; first < found.length; first += readAhead) {
    const files = found.slice(first, first + readAhead);
    const contents = await Promise.all(files.map(({ path }) => readFile(path)));
    for (const [i, bytes] of contents.entries()) yield { ...files[i]!, bytes, fraction: (first + i + 1) / found.length };
  }
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
}
