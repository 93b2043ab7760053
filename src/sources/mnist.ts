import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { ImageDataset, ImageSplit } from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { ImageFormat } from "./imageFormat.ts";

const unzip = promisify(gunzip);

/** The usual names of MNIST's files, plain or gzipped. */
const mnistNames = {
  train: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
  test: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
} as const;

export const mnistFormat: ImageFormat = {
  name: "mnist",
  description: "a folder with MNIST's IDX files",
  recognises: (_, files) => mnistNames.train.some((name) => files?.some((file) => file === name || file === `${name}.gz`)),
  load: (path, { files }) => loadMnist(path, files),
};

/** MNIST and what is written like it: IDX files of byte images and byte labels with ten classes (LeCun et al.). */
async function loadMnist(folder: string, files: readonly string[]): Promise<ImageDataset> {
  const [train, test] = await Promise.all([mnistNames.train, mnistNames.test].map((names) => readSplit(folder, files, names)));
  const classNames = Array.from({ length: 10 }, (_, k) => String(k));
  return { name: "mnist", classNames, numClasses: 10, mean: [0.1307], std: [0.3081], train: train!, test: test! };
}

async function readSplit(folder: string, files: readonly string[], names: readonly [images: string, labels: string]): Promise<ImageSplit> {
  const [images, labels] = await Promise.all([readIdx(folder, files, names[0], 3), readIdx(folder, files, names[1], 1)]);
  const [count, height, width] = images.dimensions as [number, number, number];
  const numLabels = labels.dimensions[0]!;
  if (numLabels !== count) {
    const message = `${folder}: ${names[0]} has ${count} images, ${names[1]} ${numLabels} labels. Copy both from one archive.`;
    throw new DataError("countsDiffer", { folder, images: count, labels: numLabels }, message);
  }
  const record = labels.data.findIndex((label) => label > 9);
  if (record >= 0) {
    const label = labels.data[record]!;
    const message = `${join(folder, names[1])}: record ${record} has label ${label}; 10 classes allow 0 to 9. The file is damaged or of another format.`;
    throw new DataError("labelOutOfRange", { folder, record, label }, message);
  }
  return { images: images.data, labels: Int32Array.from(labels.data), count, channels: 1, height, width };
}

interface IdxArray {
  readonly dimensions: readonly number[];
  readonly data: Uint8Array;
}

/** IDX: two zero bytes, the type (8: bytes), the number of dimensions, each of them as a big-endian uint32, then the values. */
async function readIdx(folder: string, files: readonly string[], name: string, rank: number): Promise<IdxArray> {
  const file = [name, `${name}.gz`].find((candidate) => files.includes(candidate));
  if (file === undefined) {
    const message = `${folder} has neither ${name} nor ${name}.gz. Copy it there from the data set's archive.`;
    throw new DataError("missingFile", { folder, name }, message);
  }
  const path = join(folder, file);
  const bytes = await readUnzipped(path);
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes || bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8 || bytes[3] !== rank) {
    throw new DataError("notIdx", { path }, `${path} is no IDX file of bytes with ${rank} dimensions. Copy it again.`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const expected = headerBytes + dimensions.reduce((product, dimension) => product * dimension, 1);
  if (bytes.length !== expected || dimensions[0] === 0) {
    const state = dimensions[0] === 0 ? "empty" : bytes.length < expected ? "cut off" : "too long";
    const message = `${path} is ${state}: ${bytes.length} bytes unpacked, its header promises ${expected}. Copy it again.`;
    throw new DataError("truncated", { path, found: bytes.length, expected }, message);
  }
  return { dimensions, data: new Uint8Array(bytes.subarray(headerBytes)) };
}

async function readUnzipped(path: string): Promise<Buffer> {
  const raw = await readFile(path);
  if (!path.endsWith(".gz")) return raw;
  return await unzip(raw).catch((cause: unknown) => {
    throw new DataError("truncated", { path }, `${path} cannot be unpacked: it is cut off or damaged. Copy it again.`, { cause });
  });
}
