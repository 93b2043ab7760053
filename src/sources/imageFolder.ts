import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DataError } from "../errors.ts";
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
  const found: Omit<ImageFile, "content" | "fraction">[] = [];
  for (const split of splitNames) {
    for (const className of await foldersIn(join(folder, split))) {
      const names = (await readdir(join(folder, split, className))).filter((name) => imageFileName.test(name)).sort();
      found.push(...names.map((name) => ({ path: join(folder, split, className, name), split, className, name })));
    }
  }
  for (let first = 0; first < found.length; first += readAhead) {
    const files = found.slice(first, first + readAhead);
    const contents = await Promise.all(files.map(({ path }) => readImage(path)));
    for (const [i, bytes] of contents.entries()) yield { ...files[i]!, content: bytes, fraction: (first + i + 1) / found.length };
  }
}

async function readImage(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === "ENOENT" ? "it is a link that leads nowhere" : `the system says ${cause.code}`;
    throw new DataError("unreadable", { path }, `${path} cannot be read: ${why}. Mend or remove it.`, { cause });
  });
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
  const info = await stat(path).catch((cause: unknown) => {
    throw new DataError("unreadable", { path }, `${path} cannot be read: it is a link that leads nowhere. Mend or remove it.`, { cause });
  });
  return info.isDirectory();
}
