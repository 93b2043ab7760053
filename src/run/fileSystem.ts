import { randomBytes } from "node:crypto";
import * as nodeFileSystem from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DiffusionBlocksError, RunError } from "../errors.ts";

/** An open file, as far as a run needs it; `node:fs/promises` has these, and tests put failing ones in their place. */
export interface OpenFile {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  stat(): Promise<{ size: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The operations on a disk that a run is made of. */
export interface FileSystem {
  open(path: string, flags: string): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string, options: { recursive: true }): Promise<string | undefined>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<{ mtimeMs: number }>;
}

export const disk: FileSystem = nodeFileSystem;

/**
 * Puts a file in place complete or not at all: temporary name, write, fsync, rename, fsync of the folder. Whatever happens in between,
 * a process killed or a machine without power, the name stands for the old content or the new one.
 *
 * @param beforeRename the last chance to refuse by throwing.
 * @throws {RunError} if the disk refuses; the old file is untouched then, and the temporary one is gone.
 */
export async function replaceFile(
  path: string,
  write: (file: OpenFile) => Promise<void>,
  { fs = disk, beforeRename }: { fs?: FileSystem; beforeRename?: () => Promise<void> } = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await fs.open(temporary, "wx");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await beforeRename?.();
    await fs.rename(temporary, path);
    await syncFolder(dirname(path), fs);
  } catch (error) {
    await fs.unlink(temporary).catch(() => {}); // gone already, or as unreachable as the disk that just failed
    throw cannotWrite(path, error);
  }
}

/** {@link replaceFile} for content that is at hand. */
export async function writeAtomic(path: string, content: string | Uint8Array, fs: FileSystem = disk): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await replaceFile(path, (file) => writeAll(file, bytes, 0), { fs });
}

/** Writes all of `bytes` at `position`, however little the system takes at a time. */
export async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
  }
}

const pieceBytes = 2 ** 28;

/** The content of a file, which may be larger than the 2 GiB that Node reads at once. */
export async function readWhole(path: string): Promise<Uint8Array> {
  const file = await disk.open(path, "r");
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    let done = 0;
    while (done < bytes.byteLength) {
      const read = await readAll(file, bytes.subarray(done, done + pieceBytes), done);
      if (read === 0) break; // it became shorter
      done += read;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

/** Reads `into` full from `position`; fewer bytes only where the file ends. */
export async function readAll(file: OpenFile, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/**
 * The text of a small file, or nothing if there is no such file.
 *
 * @throws {RunError} if it is there and cannot be read.
 */
export async function readText(path: string, fs: FileSystem = disk): Promise<string | undefined> {
  try {
    const file = await fs.open(path, "r");
    try {
      const bytes = new Uint8Array((await file.stat()).size);
      return new TextDecoder().decode(bytes.subarray(0, await readAll(file, bytes, 0)));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw cannotRead(path, error);
  }
}

/** Makes a folder and those above it, and makes sure that they are still there after a loss of power. */
export async function makeFolder(path: string, fs: FileSystem = disk): Promise<void> {
  try {
    const first = await fs.mkdir(path, { recursive: true }); // the topmost folder that was missing
    if (first === undefined) return;
    for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made)) await syncFolder(dirname(made), fs);
  } catch (error) {
    throw cannotWrite(path, errorCode(error) === "ENOENT" ? await whyNot(path, fs, error) : error);
  }
}

/** Making folders on a read-only disk fails as if a folder above were missing; writing a file in the nearest one that is there tells why. */
async function whyNot(path: string, fs: FileSystem, error: unknown): Promise<unknown> {
  for (let above = dirname(resolve(path)); above !== dirname(above); above = dirname(above)) {
    const there = await fs.stat(above).catch(() => undefined);
    if (there === undefined) continue;
    const probe = join(above, `.writable-${randomBytes(6).toString("hex")}.tmp`);
    try {
      await (await fs.open(probe, "wx")).close();
      await fs.unlink(probe);
    } catch (refused) {
      return refused;
    }
    break;
  }
  return error;
}

/** Makes renames and removals in a folder durable, where the system can (Windows opens no folders). */
export async function syncFolder(path: string, fs: FileSystem = disk): Promise<void> {
  let folder: OpenFile;
  try {
    folder = await fs.open(path, "r");
  } catch (error) {
    if (process.platform === "win32" || errorCode(error) === "EISDIR") return;
    throw error;
  }
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Removes what killed processes left half-written.
 *
 * @param olderThanMs leaves younger ones alone: they may belong to a process that is alive.
 */
export async function removeTemporaries(
  folder: string,
  { fs = disk, olderThanMs = 0 }: { fs?: FileSystem; olderThanMs?: number } = {},
): Promise<void> {
  for (const name of await fs.readdir(folder)) {
    if (!name.startsWith(".") || !name.endsWith(".tmp")) continue;
    const path = join(folder, name);
    try {
      if (olderThanMs > 0 && Date.now() - (await fs.stat(path)).mtimeMs < olderThanMs) continue;
      await fs.unlink(path);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw cannotWrite(path, error);
    }
  }
}

/** The system's name of an error, e.g. "ENOSPC". */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

const kinds: Readonly<Record<string, readonly [code: string, what: string, remedy: string]>> = {
  EACCES: ["noPermission", "this user has no permission", "Change the permissions of the folder, or choose another one with --run."],
  EPERM: ["noPermission", "this user has no permission", "Change the permissions of the folder, or choose another one with --run."],
  EROFS: ["readOnly", "the disk is read-only", "Choose a folder on another disk with --run."],
  ENOSPC: ["diskFull", "the disk is full", "Free some space and run the same command again; what was saved before is intact."],
  EDQUOT: ["diskFull", "the disk quota is used up", "Free some space and run the same command again; what was saved before is intact."],
  ENOENT: ["missing", "it is not there", "The folder may have been moved or removed while it was in use."],
  ENOTDIR: ["notAFolder", "a part of the path is a file", "Choose another folder with --run."],
  EEXIST: ["notAFolder", "a part of the path is a file", "Choose another folder with --run."],
};

/** An error of the disk in one line: what was refused, where, and what to do. Errors with a message of their own pass through. */
export function cannotWrite(path: string, error: unknown): Error {
  return refusal("write", path, error);
}

/** As {@link cannotWrite}, for reading. */
export function cannotRead(path: string, error: unknown): Error {
  return refusal("read", path, error);
}

function refusal(verb: string, path: string, error: unknown): Error {
  if (error instanceof DiffusionBlocksError) return error;
  const system = errorCode(error);
  if (system === undefined) return error instanceof Error ? error : new Error(String(error));
  const [code, what, remedy] = kinds[system] ?? ["disk", "the disk reports an error", "What was saved before is intact."];
  return new RunError(code, { path, system }, `Cannot ${verb} ${path}: ${what} (${system}). ${remedy}`, { cause: error });
}
