import { open, stat } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { mayUnpackTo, type ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { damaged, expandsTooMuch } from "./gzip.ts";
import { type TarEntry, tarEntries } from "./tar.ts";
import { openZip } from "./zip.ts";

/** Names of archives. */
export const archiveName: RegExp = /\.(tar|tgz|tar\.gz|zip)$/i;

const chunkBytes = 2 ** 18;

/** An entry of an archive on disk. */
export interface PlacedEntry extends TarEntry {
  /** Share of the archive that is read, from 0 to 1. */
  readonly fraction: number;
  /** Whether its path is not inside the folder that the archive would be unpacked in. */
  readonly leaves: boolean;
}

/**
 * The entries of a .tar, .tar.gz or .zip file, one after the other.
 *
 * @throws {DataError} that names the file, if it is cut off or damaged, or unpacks to more than `limits` allow.
 */
export function entriesOf(path: string, limits: ReadLimits): AsyncGenerator<PlacedEntry> {
  return /\.zip$/i.test(path) ? zipEntriesOf(path, limits) : tarEntriesOf(path, limits);
}

async function* zipEntriesOf(path: string, limits: ReadLimits): AsyncGenerator<PlacedEntry> {
  await using archive = await openZip(path, limits);
  const { entries } = archive;
  for (const [i, { name, size, read }] of entries.entries()) {
    yield { name, type: "file", target: "", size, read, leaves: leaves(name), fraction: (i + 1) / entries.length };
  }
}

/** Whether a path is not inside the folder that its archive would be unpacked in. */
function leaves(name: string): boolean {
  return name.startsWith("/") || name.split("/").includes("..");
}

async function* tarEntriesOf(path: string, limits: ReadLimits): AsyncGenerator<PlacedEntry> {
  const { size } = await stat(path);
  const handle = await open(path);
  const head = await handle.read(Buffer.alloc(2), 0, 2, 0);
  const raw = handle.createReadStream({ start: 0, highWaterMark: chunkBytes });
  const isGzip = head.buffer[0] === 0x1f && head.buffer[1] === 0x8b;
  const tar = isGzip ? raw.pipe(createGunzip({ chunkSize: chunkBytes })) : raw;
  raw.on("error", (error) => tar.destroy(error));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let unpacked = 0;
    try {
      for await (const chunk of tar as AsyncIterable<Uint8Array>) {
        unpacked += chunk.length;
        if (isGzip && unpacked > mayUnpackTo(raw.bytesRead, limits)) throw expandsTooMuch(path, limits);
        yield chunk;
      }
    } finally {
      tar.destroy();
      raw.destroy();
    }
  }
  try {
    for await (const entry of tarEntries(chunks())) {
      const read = (): Promise<Uint8Array> => entry.read().catch((cause: unknown) => damaged(path, cause));
      yield { ...entry, read, leaves: leaves(entry.name), fraction: Math.min(1, raw.bytesRead / size) };
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    damaged(path, cause);
  }
}
