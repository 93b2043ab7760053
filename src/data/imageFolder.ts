import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { unpackTar } from "modern-tar";
import { DataError } from "../errors.ts";
import type { ImageDataset, ImageSplit } from "./dataset.ts";
import { type DecodedImage, decodeImage, imageFile } from "./imageFiles.ts";
import { channelStatistics } from "./statistics.ts";

/** Told how many of the images are decoded. */
export type Progress = (done: number, total: number) => void;

/** An image file that was found: [split]/[class]/[name], and how to get its bytes. */
interface FoundImage {
  readonly path: string;
  readonly split: string;
  readonly className: string;
  read(): Promise<Uint8Array> | Uint8Array;
}

/** ROOT/{train,test}/CLASS/*.{png,jpg,jpeg}; classes are the folders of the training part, in alphabetical order. */
export async function loadImageFolder(folder: string, onProgress?: Progress): Promise<ImageDataset> {
  const found: FoundImage[] = [];
  for (const split of splits) {
    for (const className of await folders(join(folder, split))) {
      for (const file of (await readdir(join(folder, split, className))).filter((name) => imageFile.test(name)).sort()) {
        const path = join(folder, split, className, file);
        found.push({ path, split, className, read: () => readFile(path) });
      }
    }
  }
  return assemble(basename(folder), folder, found, onProgress);
}

/** The same layout inside a .tar or .tar.gz, at any depth: …/{train,test}/CLASS/NAME. */
export async function loadImageArchive(path: string, onProgress?: Progress): Promise<ImageDataset> {
  const raw = await readFile(path);
  const damaged = (cause: unknown): never => {
    throw new DataError("truncated", { path }, `${path} cannot be unpacked: it is cut off or damaged. Copy it again.`, { cause });
  };
  const tar = raw[0] === 0x1f && raw[1] === 0x8b ? await promisify(gunzip)(raw).catch(damaged) : raw;
  const entries = await unpackTar(tar, { strict: true }).catch(damaged);
  const found = entries.flatMap(({ header, data }): FoundImage[] => {
    const [split, className, name] = header.name.split("/").slice(-3);
    if (data === undefined || name === undefined || !splits.includes(split!) || !imageFile.test(name)) return [];
    return [{ path: `${path}:${header.name}`, split: split!, className: className!, read: () => data }];
  });
  return assemble(basename(path).replace(/\.(tar|tgz|tar\.gz)$/, ""), path, found, onProgress);
}

const splits: readonly string[] = ["train", "test"];

async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
}

async function assemble(name: string, root: string, found: readonly FoundImage[], onProgress: Progress = () => {}): Promise<ImageDataset> {
  const classNames = [...new Set(found.filter(({ split }) => split === "train").map(({ className }) => className))].sort();
  let done = 0;
  const read = async (split: string): Promise<ImageSplit> => {
    const items = found.filter((item) => item.split === split);
    const [first] = items;
    if (first === undefined) throw new DataError("emptySplit", { root, split }, `${root} has no images in ${split}/CLASS/. Expected are ${split}/CLASS/*.png or *.jpg, and the same for ${split === "train" ? "test" : "train"}.`);
    const shape = decodeImage(first.path, await first.read());
    const pixels = shape.pixels.length;
    const images = new Uint8Array(items.length * pixels);
    const labels = new Int32Array(items.length);
    for (const [i, item] of items.entries()) {
      const image = decodeImage(item.path, await item.read());
      checkShape(item.path, image, first.path, shape);
      images.set(image.pixels, i * pixels);
      labels[i] = classNames.indexOf(item.className);
      if (labels[i]! < 0) throw new DataError("unknownClass", { path: item.path, className: item.className }, `${item.path} is of class "${item.className}", which has no training images. Remove it, or add images to train/${item.className}/.`);
      if (++done % 256 === 0) onProgress(done, found.length);
    }
    return { images, labels, count: items.length, channels: shape.channels, height: shape.height, width: shape.width };
  };
  const [train, test] = [await read("train"), await read("test")];
  checkShape(`${root}: test`, test, `${root}: train`, train);
  return { name, classNames, numClasses: classNames.length, ...channelStatistics(train), train, test };
}

type Shape = Pick<DecodedImage, "channels" | "height" | "width">;

function checkShape(path: string, image: Shape, other: string, expected: Shape): void {
  if (image.channels === expected.channels && image.height === expected.height && image.width === expected.width) return;
  const show = ({ channels, height, width }: Shape): string => `${width}×${height} with ${channels} ${channels === 1 ? "channel" : "channels"}`;
  throw new DataError("sizesDiffer", { path, other }, `${path} is ${show(image)}, ${other} is ${show(expected)}. All images must have one size: resize them first.`);
}
