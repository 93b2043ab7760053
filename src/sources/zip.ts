import { buffer } from "node:stream/consumers";
import * as zlib from "node:zlib";
import { type Entry, fromBufferPromise, type ZipFile } from "yauzl";
import { mayUnpackTo, type ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { damaged, expandsTooMuch } from "./gzip.ts";
import { wholeFile } from "./wholeFile.ts";

/** Entries of an archive of arrays. */
const maxEntries = 10_000;

/**
 * The files of a zip archive by name, each unpacked when it is asked for.
 *
 * @throws {DataError} that names the archive, if it is damaged, or its files unpack to more than `limits` allow.
 */
export async function zipEntries(path: string, limits: ReadLimits): Promise<ReadonlyMap<string, () => Promise<Uint8Array>>> {
  const bytes = await wholeFile(path);
  const mostBytes = mayUnpackTo(bytes.length, limits);
  const entries = new Map<string, () => Promise<Uint8Array>>();
  try {
    const zip = await fromBufferPromise(bytes);
    let unpacked = 0;
    for await (const entry of zip.eachEntry()) {
      unpacked += entry.uncompressedSize;
      if (unpacked > mostBytes) throw expandsTooMuch(path, limits);
      if (entries.size === maxEntries) throw new RangeError(`it has more than ${maxEntries} files`);
      entries.set(entry.fileName, () => contentOf(zip, entry).catch((cause: unknown) => damaged(`${path}:${entry.fileName}`, cause)));
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    damaged(path, cause);
  }
  return entries;
}

/** Lengths are checked by the library, the checksum here (by Node 20.15 and later). */
async function contentOf(zip: ZipFile, entry: Entry): Promise<Uint8Array> {
  const content = await buffer(await zip.openReadStreamPromise(entry));
  const { crc32 } = zlib as Partial<typeof zlib>;
  if (crc32 !== undefined && crc32(content) !== entry.crc32) throw new RangeError("its checksum differs");
  return content;
}
