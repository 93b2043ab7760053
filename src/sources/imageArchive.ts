import { open, stat } from "node:fs/promises";
import { basename, posix } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
import { createTarDecoder } from "modern-tar";
import type { ImageDataset } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { type ArchiveIdentity, readDecoded, writeDecoded } from "./archiveCache.ts";
import { imageFileName } from "./decodeImage.ts";
import { collectImages, defaultValSplit, type ImageFile, splitNames } from "./imageCollection.ts";
import type { FormatSource, ImageFormat } from "./imageFormat.ts";
import { PassedOver } from "./passedOver.ts";

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
    ...(valSplit !== defaultValSplit && { valSplit }),
    ...(imageSize !== undefined && { imageSize }),
  };
  const cached = await readDecoded(cacheFolder, identity);
  if (cached !== undefined) return cached;
  const passedOver = new PassedOver();
  const dataset = await collectImages(basename(path).replace(archiveName, ""), path, filesOf(path, size, passedOver), source);
  const text = passedOver.text();
  if (text !== undefined) source.onNotice(`${path}: ${text}`);
  if (dataset.train.count + dataset.test.count >= worthCaching) await writeDecoded(cacheFolder, identity, dataset);
  return dataset;
}

const chunkBytes = 2 ** 18;

async function* filesOf(path: string, size: number, passedOver: PassedOver): AsyncGenerator<ImageFile> {
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
        if (header.type !== "directory") passedOver.add(reasonOf(header.name), header.name);
        await body.cancel();
        continue;
      }
      const bytes = await buffer(body as NodeReadableStream<Uint8Array>).catch((cause: unknown) => damaged(path, cause));
      const target = targetOf(header);
      yield {
        path: `${path}:${header.name}`,
        split: split!,
        className: className!,
        name,
        content: target === undefined ? bytes : { sameAs: `${path}:${target}` },
        fraction: Math.min(1, raw.bytesRead / size),
      };
    }
  } finally {
    tar.destroy();
    raw.destroy();
  }
}

/** Why an entry is no image of the layout. */
function reasonOf(path: string): string {
  const name = posix.basename(path);
  if (name.startsWith(".")) return "hidden files";
  return imageFileName.test(name) ? "images outside train/CLASS and test/CLASS" : "files that are neither .png nor .jpg";
}

/** The entry that a link leads to: a hard link names it from the root of the archive, a symbolic one from its own folder. */
function targetOf({
  type,
  name,
  linkname,
}: {
  readonly type?: string;
  readonly name: string;
  readonly linkname?: string;
}): string | undefined {
  if (linkname === undefined || linkname === "") return undefined;
  if (type === "link") return linkname;
  return type === "symlink" ? posix.normalize(posix.join(posix.dirname(name), linkname)) : undefined;
}

/** The same entries; errors of the archive become errors of data that name it. */
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
