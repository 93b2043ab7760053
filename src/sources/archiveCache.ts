import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { heldOutShare, type ImageDataset, type ImageSplit } from "../data/index.ts";

/** The identity of an archive. */
export interface ArchiveIdentity {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  /** To which its images were scaled; undefined if they were not. */
  readonly imageSize?: number;
  /** Share that was held out. */
  readonly valSplit?: number;
}

/** Changes with the decoder and the layout of the file. */
const version = 3;
const magic = Buffer.from("dblocks\n");
const checksumBytes = 32;

/** $XDG_CACHE_HOME/dblocks, else a folder of this user among the temporary files. */
export function defaultCacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME;
  return base ? join(base, "dblocks") : join(tmpdir(), `dblocks-${process.getuid?.() ?? "cache"}`);
}

/** Archives with fewer images are decoded in about a second; they are not worth a file. */
const worthCaching = 10_000;

/** The images of an archive as they were kept, else as `load` decodes them; a large one is kept for the next time. */
export async function cachedImages(
  path: string,
  { cacheFolder, imageSize, valSplit }: { readonly cacheFolder: string; readonly imageSize: number | undefined; readonly valSplit: number },
  load: () => Promise<ImageDataset>,
): Promise<ImageDataset> {
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
  const dataset = await load();
  if (dataset.train.count + dataset.test.count >= worthCaching) await writeDecoded(cacheFolder, identity, dataset);
  return dataset;
}

/**
 * The data set that was kept for this archive; undefined if there is none, the archive has changed, or the file is
 * damaged.
 *
 * A file is: magic, SHA-256 of the rest, length of the header (uint32), header (JSON: identity, data set, shapes),
 * then of each split the labels (int32) and the images. Numbers are little-endian.
 */
export async function readDecoded(folder: string, archive: ArchiveIdentity): Promise<ImageDataset | undefined> {
  const file = await readFile(fileOf(folder, archive)).catch(() => undefined);
  if (file === undefined || file.length < magic.length + checksumBytes + 4 || !file.subarray(0, magic.length).equals(magic))
    return undefined;
  const rest = file.subarray(magic.length + checksumBytes);
  if (
    !createHash("sha256")
      .update(rest)
      .digest()
      .equals(file.subarray(magic.length, magic.length + checksumBytes))
  )
    return undefined;
  try {
    return decodedIn(rest, archive);
  } catch {
    return undefined; // whole, and yet none that this version writes
  }
}

/** @throws if the file does not hold what its header says. */
function decodedIn(rest: Buffer, archive: ArchiveIdentity): ImageDataset | undefined {
  const headerEnd = 4 + rest.readUInt32LE(0);
  const { identity, dataset, train, test } = JSON.parse(rest.toString("utf8", 4, headerEnd)) as Header;
  if (identity !== identityOf(archive)) return undefined;
  let at = headerEnd;
  const part = (length: number): Buffer => {
    if (!Number.isSafeInteger(length) || length < 0 || at + length > rest.length)
      throw new RangeError(`internal: ${length} bytes at ${at}`);
    at += length;
    return rest.subarray(at - length, at);
  };
  const split = (shape: SplitShape): ImageSplit => {
    const labels = part(4 * shape.count);
    const images = part(shape.count * shape.channels * shape.height * shape.width);
    return {
      labels: new Int32Array(labels.buffer.slice(labels.byteOffset, labels.byteOffset + labels.length)),
      images: new Uint8Array(images.buffer, images.byteOffset, images.length),
      ...shape,
    };
  };
  return { ...dataset, train: split(train), test: split(test) };
}

/**
 * Keeps a decoded archive, in the place of what was kept for its path before. A disk that is full or read-only is no
 * reason to stop: nothing is kept then.
 */
export async function writeDecoded(folder: string, archive: ArchiveIdentity, { train, test, ...dataset }: ImageDataset): Promise<void> {
  const header: Header = { identity: identityOf(archive), dataset, train: shapeOf(train), test: shapeOf(test) };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const parts = [
    length,
    json,
    ...[train, test].flatMap(({ labels, images }) => [
      new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength),
      images as Uint8Array,
    ]),
  ];
  const checksum = parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
  const path = fileOf(folder, archive);
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = await open(unfinished, "w", 0o600);
    try {
      for (const part of [magic, checksum, ...parts]) await file.writeFile(part);
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch {
    await rm(unfinished, { force: true }).catch(() => {});
  }
}

type SplitShape = Omit<ImageSplit, "images" | "labels">;

interface Header {
  readonly identity: string;
  readonly dataset: Omit<ImageDataset, "train" | "test">;
  readonly train: SplitShape;
  readonly test: SplitShape;
}

function shapeOf({ count, channels, height, width }: ImageSplit): SplitShape {
  return { count, channels, height, width };
}

function identityOf({ path, size, mtimeMs, imageSize, valSplit }: ArchiveIdentity): string {
  return JSON.stringify([version, resolve(path), size, mtimeMs, imageSize, valSplit]);
}

/** One file for each archive. */
function fileOf(folder: string, { path }: ArchiveIdentity): string {
  return join(folder, `images-${createHash("sha256").update(resolve(path)).digest("hex").slice(0, 16)}.bin`);
}
