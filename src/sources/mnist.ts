import { join } from "node:path";
import type { ImageDataset, ImageSplit, ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { gunzipStart, gunzipTo } from "./gzip.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { wholeFile } from "./wholeFile.ts";

/** The usual names of MNIST's files, plain or gzipped. */
const mnistNames = {
  train: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
  test: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
} as const;

export const mnistFormat: ImageFormat = {
  name: "mnist",
  description: "a folder with MNIST's IDX files",
  recognises: (_, files) => mnistNames.train.some((name) => files?.some((file) => file === name || file === `${name}.gz`)),
  load: (folder, { files, limits }) => loadMnist({ folder, files, limits }),
};

interface Folder {
  readonly folder: string;
  /** Names in it. */
  readonly files: readonly string[];
  readonly limits: ReadLimits;
}

/** MNIST and what is written like it: IDX files of byte images and byte labels with ten classes (LeCun et al.). */
async function loadMnist(source: Folder): Promise<ImageDataset> {
  const [train, test] = await Promise.all([mnistNames.train, mnistNames.test].map((names) => readSplit(source, names)));
  const classNames = Array.from({ length: 10 }, (_, k) => String(k));
  return { name: "mnist", classNames, numClasses: 10, mean: [0.1307], std: [0.3081], train: train!, test: test! };
}

async function readSplit(source: Folder, names: readonly [images: string, labels: string]): Promise<ImageSplit> {
  const { folder } = source;
  const [images, labels] = await Promise.all([readIdx(source, names[0], 3), readIdx(source, names[1], 1)]);
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
async function readIdx({ folder, files, limits }: Folder, name: string, rank: number): Promise<IdxArray> {
  const file = [name, `${name}.gz`].find((candidate) => files.includes(candidate));
  if (file === undefined) {
    const message = `${folder} has neither ${name} nor ${name}.gz. Copy it there from the data set's archive.`;
    throw new DataError("missingFile", { folder, name }, message);
  }
  const path = join(folder, file);
  const raw = await wholeFile(path);
  const isPacked = file.endsWith(".gz");
  const headerBytes = 4 + 4 * rank;
  const header = isPacked ? gunzipStart(path, raw, headerBytes) : raw.subarray(0, headerBytes);
  if (header.length < headerBytes || header.readUInt16BE(0) !== 0 || header[2] !== 8 || header[3] !== rank) {
    throw new DataError("notIdx", { path }, `${path} is no IDX file of bytes with ${rank} dimensions. Copy it again.`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => header.readUInt32BE(4 + 4 * i));
  const [count, ...sizes] = dimensions as [number, ...number[]];
  const pixels = sizes.reduce((product, size) => product * size, 1);
  if (count === 0 || pixels === 0 || pixels > limits.imagePixels) {
    const what = count === 0 ? "is empty" : `has images of ${sizes.join("×")}; they have from 1 to ${limits.imagePixels} pixels`;
    throw new DataError("badSizes", { path, dimensions }, `${path} ${what}. Copy it again.`);
  }
  const expected = headerBytes + count * pixels;
  const bytes = isPacked ? await gunzipTo(path, raw, expected, limits) : raw;
  if (bytes.length !== expected) {
    const state = bytes.length < expected ? "cut off" : "too long";
    const message = `${path} is ${state}: ${bytes.length} bytes unpacked, its header promises ${expected}. Copy it again.`;
    throw new DataError("truncated", { path, found: bytes.length, expected }, message);
  }
  return { dimensions, data: new Uint8Array(bytes.buffer, bytes.byteOffset + headerBytes, expected - headerBytes) };
}
