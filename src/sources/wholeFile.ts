import { readFile, stat } from "node:fs/promises";
import { DataError } from "../errors.ts";

/**
 * The bytes of a file that a reader wants whole.
 *
 * @param maxBytes the most that such a file can need.
 * @throws {DataError} if it is missing, no file (a pipe or a device never ends), longer, or refused by the system.
 */
export async function wholeFile(path: string, maxBytes: number = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const { size, isFile } = await stat(path).then(
    (info) => ({ size: info.size, isFile: info.isFile() }),
    (cause: unknown) => unreadable(path, cause),
  );
  if (!isFile) throw new DataError("notFile", { path }, `${path} is no file of a disk. Copy its content into one.`);
  if (size > maxBytes) {
    const message = `${path} has ${size} bytes; a file of its kind has ${maxBytes} at most. Remove it, or give the right one.`;
    throw new DataError("fileTooLarge", { path, size, maxBytes }, message);
  }
  return await readFile(path).catch((cause: unknown) => unreadable(path, cause));
}

/** @throws {DataError} of a name that was listed and cannot be read. */
export function unreadable(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "it is a link that leads nowhere, or was removed" : `the system says ${code}`;
  throw new DataError("unreadable", { path }, `${path} cannot be read: ${why}. Mend or remove it.`, { cause });
}
