import { basename, join } from "node:path";
import { type ReadLimits, readLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { archiveName, entriesOf } from "./archive.ts";
import { wholeFile } from "./wholeFile.ts";

/** A file with its content. */
export interface NamedFile {
  /** For messages. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The files of a data set that has a few large ones with fixed names: in a folder, or in an archive of it. */
export interface FileSet {
  readonly path: string;
  readonly names: readonly string[];
  /** @throws {DataError} if there is no such file. */
  read(name: string): Promise<NamedFile>;
}

/** The files of a folder. */
export function folderFiles(path: string, names: readonly string[]): FileSet {
  return {
    path,
    names,
    read: async (name) => {
      checkThere(path, names, name);
      return { path: join(path, name), bytes: await wholeFile(join(path, name)) };
    },
  };
}

/** The files of a .tar or .tar.gz whose names are wanted, at any depth, read into memory. */
export async function archiveFiles(path: string, isWanted: (name: string) => boolean, limits: ReadLimits): Promise<FileSet> {
  const files = new Map<string, NamedFile>();
  for await (const { name, type, leaves, read } of entriesOf(path, limits)) {
    const base = basename(name);
    if (type === "file" && !leaves && isWanted(base)) files.set(base, { path: `${path}:${name}`, bytes: await read() });
  }
  const names = [...files.keys()];
  return {
    path,
    names,
    read: async (name) => {
      checkThere(path, names, name);
      return files.get(name)!;
    },
  };
}

function checkThere(path: string, names: readonly string[], name: string): void {
  if (names.includes(name)) return;
  throw new DataError("missingFile", { path, name }, `${path} has no ${name}. Copy it there from the data set's archive.`);
}

/** Entries that are looked at to tell what an archive holds. */
const firstEntries = 4;

/** Whether one of the first files of an archive has such a name; an archive that cannot be read has none. */
export async function startsWithFile(path: string, isWanted: (name: string) => boolean): Promise<boolean> {
  if (!archiveName.test(path)) return false;
  try {
    let seen = 0;
    for await (const { name, type } of entriesOf(path, readLimits)) {
      if (type === "file" && isWanted(basename(name))) return true;
      if (++seen === firstEntries) return false;
    }
  } catch {
    // Whoever reads it says why.
  }
  return false;
}
