import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
import { createTarDecoder } from "modern-tar";
import { DataError } from "../errors.ts";
import { type ArchiveIdentity, readDecoded, writeDecoded } from "./archiveCache.ts";
import type { ImageDataset } from "./dataset.ts";
import { imageFileName } from "./decodeImage.ts";
import { collectImages, type ImageFile, type Progress, splitNames } from "./imageCollection.ts";

export const archiveName: RegExp = /\.(tar|tgz|tar\.gz)$/i;

export interface ArchiveOptions {
  readonly onProgress?: Progress | undefined;
  /** Where the decoded images of large archives are kept for the next time. */
  readonly cacheFolder: string;
}

/** Archives with fewer images are decoded in about a second; they are not worth a file. */
const worthCaching = 10_000;

/**
 * Reads the layout of an image folder from a .tar or .tar.gz, at any depth: …/{train,test}/CLASS/NAME. The archive is streamed;
 * memory holds the decoded images.
 *
 * @throws {DataError} if the archive is cut off or damaged, and as `collectImages` does.
 */
export async function loadImageArchive(path: string, { onProgress, cacheFolder }: ArchiveOptions): Promise<ImageDataset> {
  const { size, mtimeMs } = await stat(path);
  const identity: ArchiveIdentity = { path, size, mtimeMs };
  const cached = await readDecoded(cacheFolder, identity);
  if (cached !== undefined) return cached;
  const dataset = await collectImages(basename(path).replace(archiveName, ""), path, filesOf(path, size), onProgress);
  if (dataset.train.count + dataset.test.count >= worthCaching) await writeDecoded(cacheFolder, identity, dataset);
  return dataset;
}

const chunkBytes = 2 ** 18;

async function* filesOf(path: string, size: number): AsyncGenerator<ImageFile> {
  const handle = await open(path);
  const head = await handle.read(Buffer.alloc(2), 0, 2, 0);
  const raw = handle.createReadStream({ start: 0, highWaterMark: chunkBytes });
  const isGzip = head.buffer[0] === 0x1f && head.buffer[1] === 0x8b;
  const tar = isGzip ? raw.pipe(createGunzip({ chunkSize: chunkBytes })) : raw;
  raw.on("error", (error) => tar.destroy(error));
  try {
    const entries = (Readable.toWeb(tar) as NodeReadableStream<Uint8Array> as ReadableStream<Uint8Array>).pipeThrough(
      createTarDecoder({ strict: true }),
    );
    for await (const { header, body } of readable(entries, path)) {
      const [split, className, name] = header.name.split("/").slice(-3);
      if (name === undefined || !splitNames.includes(split!) || !imageFileName.test(name)) {
        await body.cancel();
        continue;
      }
      const bytes = await buffer(body as NodeReadableStream<Uint8Array>).catch((cause: unknown) => damaged(path, cause));
      yield {
        path: `${path}:${header.name}`,
        split: split!,
        className: className!,
        name,
        bytes,
        fraction: Math.min(1, raw.bytesRead / size),
      };
    }
  } finally {
    tar.destroy();
    raw.destroy();
  }
}

/** The same entries; what goes wrong with the archive is told as such. */
async function* readable<T>(entries: ReadableStream<T>, path: string): AsyncGenerator<T> {
  const reader = entries.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => damaged(path, cause));
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function damaged(path: string, cause: unknown): never {
  throw new DataError("truncated", { path }, `${path} cannot be unpacked: it is cut off or damaged. Copy it again.`, { cause });
}
