import { buffer } from "node:stream/consumers";
import * as zlib from "node:zlib";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { mayUnpackTo, type ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { damaged, expandsTooMuch } from "./gzip.ts";

/** Entries of an archive. Tiny-ImageNet's has 120,609. */
const maxEntries = 2 ** 21;

/** A file in a zip archive. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  /** @throws {DataError} that names archive and file, if it is damaged. */
  read(): Promise<Uint8Array>;
}

/** An open zip archive; it reads from the disk what is asked for. */
export interface ZipArchive extends AsyncDisposable {
  /** In the order of the archive, without folders. */
  readonly entries: readonly ZipEntry[];
}

/**
 * Opens a zip archive by its list of files, each unpacked when it is read.
 *
 * @throws {DataError} that names the archive, if it is damaged, or its files unpack to more than `limits` allow.
 */
export async function openZip(path: string, limits: ReadLimits): Promise<ZipArchive> {
  const zip = await openPromise(path, { autoClose: false }).catch((cause: unknown) => damaged(path, cause));
  const mostBytes = mayUnpackTo(zip.fileSize, limits);
  const entries: ZipEntry[] = [];
  try {
    let unpacked = 0;
    for await (const entry of zip.eachEntry()) {
      unpacked += entry.uncompressedSize;
      if (unpacked > mostBytes) throw expandsTooMuch(path, limits);
      if (entries.length === maxEntries) throw new RangeError(`it has more than ${maxEntries} files`);
      if (entry.fileName.endsWith("/")) continue;
      const read = (): Promise<Uint8Array> => contentOf(zip, entry).catch((cause: unknown) => damaged(`${path}:${entry.fileName}`, cause));
      entries.push({ name: entry.fileName, size: entry.uncompressedSize, read });
    }
  } catch (cause) {
    zip.close();
    if (cause instanceof DataError) throw cause;
    damaged(path, cause);
  }
  return {
    entries,
    [Symbol.asyncDispose]: async () => zip.close(),
  };
}

/** Lengths are checked by the library, the checksum here (by Node 20.15 and later). */
async function contentOf(zip: ZipFile, entry: Entry): Promise<Uint8Array> {
  const content = await buffer(await zip.openReadStreamPromise(entry));
  const { crc32 } = zlib as Partial<typeof zlib>;
  if (crc32 !== undefined && crc32(content) !== entry.crc32) throw new RangeError("its checksum differs");
  return content;
}
