import { open, stat } from "node:fs/promises";
import { basename, posix } from "node:path";
import { createGunzip } from "node:zlib";
import { heldOutShare, type ImageDataset, mayUnpackTo, type ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { type ArchiveIdentity, readDecoded, writeDecoded } from "./archiveCache.ts";
import { imageFileName, maxImageFileBytes } from "./decodeImage.ts";
import { damaged, expandsTooMuch } from "./gzip.ts";
import { collectImages, type ImageFile, splitNames } from "./imageCollection.ts";
import type { FormatSource, ImageFormat } from "./imageFormat.ts";
import { PassedOver } from "./passedOver.ts";
import { tarEntries } from "./tar.ts";

const archiveName: RegExp = /\.(tar|tgz|tar\.gz)$/i;

/** Archives with fewer images are decoded in about a second; they are not worth a file. */
const worthCaching = 10_000;

/**
 * The layout of an image folder in a .tar or .tar.gz, at any depth: …/{train,test}/CLASS/NAME. The archive is streamed; memory holds the
 * decoded images. A large one is kept decoded for the next time.
 */
export const imageArchiveFormat: ImageFormat = {
  name: "image archive",
  description: "a .tar(.gz) of one",
  recognises: (path, files) => files === undefined && archiveName.test(path),
  load: loadImageArchive,
};

/** @throws {DataError} if the archive is cut off or damaged, and as `collectImages` does. */
async function loadImageArchive(path: string, source: FormatSource): Promise<ImageDataset> {
  const { cacheFolder, imageSize, valSplit } = source;
  const { size, mtimeMs } = await stat(path);
  const identity: ArchiveIdentity = {
    path,
    size,
    mtimeMs,
    ...(valSplit !== heldOutShare && { valSplit }),
    ...(imageSize !== undefined && { imageSize }),
  };
  const cached = await readDecoded(cacheFolder, identity);
  if (cached !== undefined) return cached;
  const passedOver = new PassedOver();
  const dataset = await collectImages(
    basename(path).replace(archiveName, ""),
    path,
    filesOf(path, size, passedOver, source.limits),
    source,
  );
  const text = passedOver.text();
  if (text !== undefined) source.onNotice(`${path}: ${text}`);
  if (dataset.train.count + dataset.test.count >= worthCaching) await writeDecoded(cacheFolder, identity, dataset);
  return dataset;
}

const chunkBytes = 2 ** 18;

async function* filesOf(path: string, size: number, passedOver: PassedOver, limits: ReadLimits): AsyncGenerator<ImageFile> {
  const mostBytes = maxImageFileBytes(limits);
  const input = await openArchive(path, limits);
  for await (const { name: entry, type, target, size: bytes, read } of named(tarEntries(input.chunks()), path)) {
    const [split, className, name] = entry.split("/").slice(-3);
    const isImage = name !== undefined && splitNames.includes(split!) && imageFileName.test(name);
    if (leaves(entry) || !isImage || type === "directory" || type === "other") {
      if (type !== "directory") passedOver.add(leaves(entry) ? "paths that leave the archive" : reasonOf(entry), entry);
      continue;
    }
    if (bytes > mostBytes) {
      const message = `${path}:${entry} has ${bytes} bytes; an image of ${limits.imagePixels} pixels has ${mostBytes} at most. Scale it down, or raise --max-image-pixels.`;
      throw new DataError("fileTooLarge", { path, entry, bytes, limit: mostBytes }, message);
    }
    yield {
      path: `${path}:${entry}`,
      split: split!,
      className: className!,
      name,
      content:
        type === "file"
          ? await read().catch((cause: unknown) => damaged(path, cause))
          : { sameAs: `${path}:${type === "link" ? target : posix.join(posix.dirname(entry), target)}` },
      fraction: Math.min(1, input.read() / size),
    };
  }
}

interface ArchiveInput {
  /** The archive's bytes, unpacked if it is a gzip. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** Bytes of the file so far. */
  read(): number;
}

async function openArchive(path: string, limits: ReadLimits): Promise<ArchiveInput> {
  const handle = await open(path);
  const head = await handle.read(Buffer.alloc(2), 0, 2, 0);
  const raw = handle.createReadStream({ start: 0, highWaterMark: chunkBytes });
  const isGzip = head.buffer[0] === 0x1f && head.buffer[1] === 0x8b;
  const tar = isGzip ? raw.pipe(createGunzip({ chunkSize: chunkBytes })) : raw;
  raw.on("error", (error) => tar.destroy(error));
  return {
    read: () => raw.bytesRead,
    async *chunks() {
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
    },
  };
}

/** Whether a path is not inside the folder that an archive would be unpacked in. */
function leaves(path: string): boolean {
  return path.startsWith("/") || path.split("/").includes("..");
}

/** Why an entry is no image of the layout. */
function reasonOf(path: string): string {
  const name = posix.basename(path);
  if (name.startsWith(".")) return "hidden files";
  return imageFileName.test(name) ? "images outside train/CLASS and test/CLASS" : "files that are neither .png nor .jpg";
}

/** The same entries; errors of the archive become errors of data that name it. */
async function* named<T>(entries: AsyncGenerator<T>, path: string): AsyncGenerator<T> {
  try {
    yield* entries;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    damaged(path, cause);
  }
}
