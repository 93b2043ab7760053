import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { imageFileName, maxImageFileBytes } from "./decodeImage.ts";
import { collectImages, type ImageFile, splitNames, testNames } from "./imageCollection.ts";
import type { FormatSource, ImageFormat } from "./imageFormat.ts";
import { PassedOver } from "./passedOver.ts";
import { unreadable, wholeFile } from "./wholeFile.ts";

/**
 * FOLDER/{train,test}/CLASS/*.{png,jpg,jpeg}; the test part may be called val or validation, and of `train` alone part is
 * held out. Errors as of `collectImages`.
 */
export const imageFolderFormat: ImageFormat = {
  name: "image folder",
  description: "a folder with train/CLASS/*.png|jpg and test/CLASS/… (or val/CLASS/…)",
  recognises: (_, files) => files !== undefined && splitNames.some((name) => files.includes(name)),
  load: async (path, source) => {
    const test = testNames.find((name) => source.files.includes(name));
    const passedOver = new PassedOver();
    const splits = ["train", ...(test === undefined ? [] : [test])];
    for (const name of source.files) if (!splits.includes(name)) passedOver.add(beside(name), join(path, name));
    const found: Found[] = [];
    for (const split of splits) found.push(...(await imagesIn(join(path, split), split, passedOver)));
    return await collect(path, found, source, passedOver);
  },
};

/** FOLDER/CLASS/*.{png,jpg,jpeg}, of which part is held out for tests. */
export const classFolderFormat: ImageFormat = {
  name: "class folder",
  description: "a folder with CLASS/*.png|jpg, of which --val-split is held out",
  recognises: async (path, files) => {
    if (files === undefined) return false;
    for (const entry of await readdir(path, { withFileTypes: true }))
      if ((await isFolder(path, entry)) && (await readdir(join(path, entry.name))).some((file) => imageFileName.test(file))) return true;
    return false;
  },
  load: async (path, source) => {
    const passedOver = new PassedOver();
    return await collect(path, await imagesIn(path, "train", passedOver), source, passedOver);
  },
};

/** Files that are read at the same time. */
const readAhead = 32;

type Found = Omit<ImageFile, "content" | "fraction">;

async function collect(
  path: string,
  found: readonly Found[],
  source: FormatSource,
  passedOver: PassedOver,
): ReturnType<ImageFormat["load"]> {
  const text = passedOver.text();
  if (text !== undefined) source.onNotice(`${path}: ${text}`);
  return await collectImages(basename(resolve(path)), path, contents(found, maxImageFileBytes(source.limits)), source);
}

/** Image files of FOLDER/CLASS/, by class and name. */
async function imagesIn(folder: string, split: string, passedOver: PassedOver): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) passedOver.add("hidden files", path);
    else if (!(await isFolder(folder, entry))) passedOver.add("files outside a class", path);
    else {
      const images = await imagesOfClass(path, passedOver);
      if (images.length === 0) passedOver.add("classes without images", path);
      found.push(...images.map((name) => ({ path: join(path, name), split, className: entry.name, name })));
    }
  }
  return found;
}

/** Names of the image files in the folder of a class. */
async function imagesOfClass(folder: string, passedOver: PassedOver): Promise<readonly string[]> {
  const names: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) passedOver.add("hidden files", path);
    else if (entry.isDirectory()) passedOver.add("folders inside a class", path);
    else if (!entry.isFile() && !entry.isSymbolicLink()) passedOver.add("no files of a disk", path);
    else if (imageFileName.test(entry.name)) names.push(entry.name);
    else passedOver.add("files that are neither .png nor .jpg", path);
  }
  return names.sort();
}

function beside(name: string): string {
  return name.startsWith(".") ? "hidden files" : "beside train and test";
}

async function* contents(found: readonly Found[], mostBytes: number): AsyncGenerator<ImageFile> {
  for (let first = 0; first < found.length; first += readAhead) {
    const files = found.slice(first, first + readAhead);
    const contents = await Promise.all(files.map(({ path }) => wholeFile(path, mostBytes)));
    for (const [i, bytes] of contents.entries()) yield { ...files[i]!, content: bytes, fraction: (first + i + 1) / found.length };
  }
}

/** Whether an entry is a folder, or a link to one; hidden ones are not. @throws {DataError} if a link leads nowhere. */
async function isFolder(folder: string, entry: Dirent): Promise<boolean> {
  if (entry.name.startsWith(".")) return false;
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const path = join(folder, entry.name);
  return (await stat(path).catch((cause: unknown) => unreadable(path, cause))).isDirectory();
}
