import { basename, posix } from "node:path";
import type { ImageDataset, ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { archiveName, entriesOf } from "./archive.ts";
import { cachedImages } from "./archiveCache.ts";
import { imageFileName, maxImageFileBytes } from "./decodeImage.ts";
import { collectImages, type ImageFile, splitNames } from "./imageCollection.ts";
import type { FormatSource, ImageFormat } from "./imageFormat.ts";
import { PassedOver } from "./passedOver.ts";

/**
 * The layout of an image folder in a .tar, .tar.gz or .zip, at any depth: …/{train,test}/CLASS/NAME. The archive is streamed; memory holds the
 * decoded images. A large one is kept decoded for the next time.
 */
export const imageArchiveFormat: ImageFormat = {
  name: "image archive",
  description: "a .tar(.gz) or .zip of one",
  recognises: (path, files) => files === undefined && archiveName.test(path),
  load: loadImageArchive,
};

/** @throws {DataError} if the archive is cut off or damaged, and as `collectImages` does. */
function loadImageArchive(path: string, source: FormatSource): Promise<ImageDataset> {
  return cachedImages(path, source, async () => {
    const passedOver = new PassedOver();
    const files = filesOf(path, passedOver, source.limits);
    const dataset = await collectImages(basename(path).replace(archiveName, ""), path, files, source);
    const text = passedOver.text();
    if (text !== undefined) source.onNotice(`${path}: ${text}`);
    return dataset;
  });
}

async function* filesOf(path: string, passedOver: PassedOver, limits: ReadLimits): AsyncGenerator<ImageFile> {
  const mostBytes = maxImageFileBytes(limits);
  for await (const { name: entry, type, target, size: bytes, fraction, leaves, read } of entriesOf(path, limits)) {
    const [split, className, name] = entry.split("/").slice(-3);
    const isImage = name !== undefined && splitNames.includes(split!) && imageFileName.test(name);
    if (leaves || !isImage || type === "directory" || type === "other") {
      if (type !== "directory") passedOver.add(leaves ? "paths that leave the archive" : reasonOf(entry), entry);
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
        type === "file" ? await read() : { sameAs: `${path}:${type === "link" ? target : posix.join(posix.dirname(entry), target)}` },
      fraction,
    };
  }
}

/** Why an entry is no image of the layout. */
function reasonOf(path: string): string {
  const name = posix.basename(path);
  if (name.startsWith(".")) return "hidden files";
  return imageFileName.test(name) ? "images outside train/CLASS and test/CLASS" : "files that are neither .png nor .jpg";
}
