import { basename, join } from "node:path";
import { checkFinite, checkLabels, type ImageDataset, type ImageSplit, labelledDataset, type ReadLimits } from "../data/index.ts";
import { DataError, FormatError } from "../errors.ts";
import { type NumArray, readNpy } from "../formats/index.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { wholeFile } from "./wholeFile.ts";
import { openZip, type ZipArchive } from "./zip.ts";

/** Arrays of images (or of numbers) and of labels by name, as Keras, MedMNIST and people write them. */
const layouts = [
  { train: ["x_train", "y_train"], test: ["x_test", "y_test"] },
  { train: ["X_train", "y_train"], test: ["X_test", "y_test"] },
  { train: ["train_images", "train_labels"], test: ["test_images", "test_labels"] },
  { train: ["images", "labels"], test: undefined },
  { train: ["data", "labels"], test: undefined },
  { train: ["x", "y"], test: undefined },
  { train: ["X", "y"], test: undefined },
] as const;

type Pair = readonly [images: string, labels: string];

/** NumPy arrays: an .npz file, or a folder of .npy files. */
export const arraysFormat: ImageFormat = {
  name: "arrays",
  description: "NumPy arrays as .npz, or a folder of .npy, named x_train, y_train, x_test, y_test, or images and labels",
  recognises: (path, files) => (files === undefined ? /\.npz$/i.test(path) : files.some((name) => name.endsWith(".npy"))),
  load: async (path, { files, limits, valSplit }) => {
    if (files.length > 0) return datasetOf(path, inFolder(path, files), limits, valSplit);
    await using archive = await openZip(path, limits);
    return await datasetOf(path, inArchive(path, archive), limits, valSplit);
  },
};

/** The array of a name. */
interface Arrays {
  readonly names: readonly string[];
  read(name: string): Promise<NumArray>;
}

function inFolder(folder: string, files: readonly string[]): Arrays {
  const path = (name: string): string => join(folder, `${name}.npy`);
  return { names: arrayNames(files), read: async (name) => arrayIn(path(name), await wholeFile(path(name))) };
}

function inArchive(path: string, { entries }: ZipArchive): Arrays {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const read = (name: string): Promise<Uint8Array> => byName.get(`${name}.npy`)!.read();
  return { names: arrayNames([...byName.keys()]), read: async (name) => arrayIn(`${path}:${name}.npy`, await read(name)) };
}

function arrayNames(files: readonly string[]): readonly string[] {
  return files.filter((name) => name.endsWith(".npy")).map((name) => name.slice(0, -4));
}

function arrayIn(path: string, bytes: Uint8Array): NumArray {
  try {
    return readNpy(bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DataError("badArray", { ...cause.data, path }, `${path}: ${cause.message}`, { cause });
  }
}

async function datasetOf(path: string, arrays: Arrays, limits: ReadLimits, valSplit: number): Promise<ImageDataset> {
  const layout = layouts.find(({ train }) => train.every((name) => arrays.names.includes(name)));
  if (layout === undefined) {
    const known = layouts.map(({ train }) => train.join(" and ")).join("; ");
    const message = `${path} has the arrays ${arrays.names.slice(0, 8).join(", ") || "of none"}. Expected are images and labels by one of these names: ${known}.`;
    throw new DataError("noArrays", { path, names: arrays.names.slice(0, 8) }, message);
  }
  const splitOf = async ([images, labels]: Pair): Promise<ImageSplit> =>
    split(path, [images, await arrays.read(images)], [labels, await arrays.read(labels)], limits);
  const test = layout.test?.every((name) => arrays.names.includes(name)) ? await splitOf(layout.test) : undefined;
  return labelledDataset({ name: basename(path).replace(/\.npz$/i, ""), path, train: await splitOf(layout.train), test, valSplit });
}

/** An array with its name. */
type Named = readonly [name: string, array: NumArray];

function split(path: string, [name, images]: Named, [labelName, labels]: Named, limits: ReadLimits): ImageSplit {
  const count = images.shape[0] ?? 0;
  const isColumn = labels.shape.length === 1 || (labels.shape.length === 2 && labels.shape[1] === 1);
  if (!isColumn || labels.shape[0] !== count || count === 0) {
    const message = `${path}: ${name} has shape [${images.shape.join(", ")}] and ${labelName} [${labels.shape.join(", ")}]; expected is one label for each, and at least one.`;
    throw new DataError("countsDiffer", { path, images: images.shape, labels: labels.shape }, message);
  }
  if (labels.data instanceof Float32Array && !labels.data.every(Number.isInteger)) {
    const message = `${path}: ${labelName} holds numbers that are no classes. Classes are integers from 0 on.`;
    throw new DataError("labelOutOfRange", { path }, message);
  }
  const classes = Int32Array.from(labels.data);
  checkLabels(path, labelName, classes, limits.classes);
  return { ...planar(path, name, images), labels: classes, count };
}

/** Bytes are pixels, and so are floats that are bytes divided by 255; all else are numbers. */
function planar(path: string, name: string, { shape, data }: NumArray): Omit<ImageSplit, "labels" | "count"> {
  const { channels, height, width, isLast } = layoutOf(path, name, shape);
  const numbers = data instanceof Uint8Array ? data : (bytesIn(data, channels) ?? Float32Array.from(data));
  if (numbers instanceof Float32Array) checkFinite(path, name, numbers, shape[0]!);
  const images = isLast && channels > 1 ? channelsFirst(numbers, channels) : numbers;
  return { images, channels, height, width };

  function channelsFirst<T extends Uint8Array | Float32Array>(all: T, channels: number): T {
    const planes = new (all.constructor as new (length: number) => T)(all.length);
    const pixels = height * width;
    for (let item = 0; item < all.length; item += pixels * channels)
      for (let pixel = 0, from = item; pixel < pixels; pixel++)
        for (let channel = 0; channel < channels; channel++, from++) planes[item + channel * pixels + pixel] = all[from]!;
    return planes;
  }
}

/** Pixels as bytes, where an array of grey or colour images holds 0 to 255, or those over 255; undefined of other numbers. */
function bytesIn(data: Int32Array | Float32Array, channels: number): Uint8Array | undefined {
  if (channels !== 1 && channels !== 3) return undefined;
  const isByte = (value: number): boolean => value >= 0 && value <= 255 && Number.isInteger(value);
  if (data.every(isByte) && data.some((value) => value > 1)) return Uint8Array.from(data);
  const isShare = (value: number): boolean => value >= 0 && value <= 1 && Math.abs(value * 255 - Math.round(value * 255)) < 1e-3;
  return data instanceof Float32Array && data.every(isShare) ? Uint8Array.from(data, (value) => Math.round(value * 255)) : undefined;
}

interface ArrayLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Whether the channels are the last axis. */
  readonly isLast: boolean;
}

/** [n, features], [n, h, w], [n, h, w, c] or [n, c, h, w]. */
function layoutOf(path: string, name: string, shape: readonly number[]): ArrayLayout {
  const [, a = 0, b = 0, c = 0] = shape;
  if (shape.length === 2 && a > 0) return { channels: a, height: 1, width: 1, isLast: false };
  if (shape.length === 3 && a > 0 && b > 0) return { channels: 1, height: a, width: b, isLast: false };
  if (shape.length === 4 && a > 0 && b > 0 && c > 0) {
    const isLast = c <= 4 && (a === b || a > 4) && !(a <= 4 && b === c);
    return isLast ? { channels: c, height: a, width: b, isLast } : { channels: a, height: b, width: c, isLast };
  }
  const message = `${path}: ${name} has shape [${shape.join(", ")}]; expected are images [count, height, width(, channels)] or [count, channels, height, width], or numbers [count, features].`;
  throw new DataError("arrayShape", { path, shape }, message);
}
