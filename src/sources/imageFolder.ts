import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DataError } from "../errors.ts";
import { imageFileName } from "./decodeImage.ts";
import { collectImages, type ImageFile, splitNames } from "./imageCollection.ts";
import type { ImageFormat } from "./imageFormat.ts";

/** FOLDER/{train,test}/CLASS/*.{png,jpg,jpeg}; with `train` alone, part of it is held out. Errors as of `collectImages`. */
export const imageFolderFormat: ImageFormat = {
  name: "image folder",
  description: "a folder with train/CLASS/*.png|jpg and test/CLASS/…",
  recognises: (_, files) => files !== undefined && splitNames.some((name) => files.includes(name)),
  load: (path, { files, ...source }) => {
    const found = files.includes("test") || !files.includes("train") ? filesOf(path) : heldOut(join(path, "train"), source.valSplit);
    return collectImages(basename(resolve(path)), path, found, source);
  },
};

/** FOLDER/CLASS/*.{png,jpg,jpeg}, of which part is held out for tests. */
export const classFolderFormat: ImageFormat = {
  name: "class folder",
  description: "a folder with CLASS/*.png|jpg, of which --val-split is held out",
  recognises: async (path, files) => {
    if (files === undefined) return false;
    for (const name of await foldersIn(path)) if ((await readdir(join(path, name))).some((file) => imageFileName.test(file))) return true;
    return false;
  },
  load: (path, source) => collectImages(basename(resolve(path)), path, heldOut(path, source.valSplit), source),
};

/** Files that are read at the same time. */
const readAhead = 32;

type Found = Omit<ImageFile, "content" | "fraction">;

/** Files of FOLDER/CLASS/, some of each class, evenly spread by name, as the test part. */
async function* heldOut(folder: string, share: number): AsyncGenerator<ImageFile> {
  yield* contents(await imagesIn(folder, (i) => (Math.floor((i + 1) * share) > Math.floor(i * share) ? "test" : "train")));
}

async function* filesOf(folder: string): AsyncGenerator<ImageFile> {
  const found: Found[] = [];
  for (const split of splitNames) found.push(...(await imagesIn(join(folder, split), () => split)));
  yield* contents(found);
}

/** Image files of FOLDER/CLASS/, in order of their names, each in the split of its number within the class. */
async function imagesIn(folder: string, splitOf: (i: number) => string): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const className of await foldersIn(folder)) {
    const names = (await readdir(join(folder, className))).filter((name) => imageFileName.test(name)).sort();
    found.push(...names.map((name, i) => ({ path: join(folder, className, name), split: splitOf(i), className, name })));
  }
  return found;
}

async function* contents(found: readonly Found[]): AsyncGenerator<ImageFile> {
  for (let first = 0; first < found.length; first += readAhead) {
    const files = found.slice(first, first + readAhead);
    const contents = await Promise.all(files.map(({ path }) => readImage(path)));
    for (const [i, bytes] of contents.entries()) yield { ...files[i]!, content: bytes, fraction: (first + i + 1) / found.length };
  }
}

async function readImage(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((cause: NodeJS.ErrnoException) => unreadable(path, cause));
}

/** @throws {DataError} of a name that was listed and cannot be read. */
function unreadable(path: string, cause: NodeJS.ErrnoException): never {
  const why = cause.code === "ENOENT" ? "it is a link that leads nowhere" : `the system says ${cause.code}`;
  throw new DataError("unreadable", { path }, `${path} cannot be read: ${why}. Mend or remove it.`, { cause });
}

/** Folders in a folder, and links to folders. @throws {DataError} if a link leads nowhere. */
async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const folders: string[] = [];
  for (const entry of entries.filter(({ name }) => !name.startsWith("."))) {
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(path, entry.name))))) folders.push(entry.name);
  }
  return folders;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch((cause: NodeJS.ErrnoException) => unreadable(path, cause))).isDirectory();
}
