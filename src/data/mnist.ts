import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { DataError } from "../errors.ts";
import type { ImageDataset, ImageSplit } from "./dataset.ts";

const unzip = promisify(gunzip);

/** The usual names of MNIST's files, plain or gzipped. */
export const mnistNames = { train: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], test: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] } as const;

/** MNIST and what is written like it: IDX files of byte images and byte labels with ten classes (LeCun et al.). */
export async function loadMnist(folder: string, files: readonly string[]): Promise<ImageDataset> {
  const [train, test] = await Promise.all([mnistNames.train, mnistNames.test].map((names) => readSplit(folder, files, names)));
  return { name: "mnist", classNames: Array.from({ length: 10 }, (_, k) => String(k)), numClasses: 10, mean: [0.1307], std: [0.3081], train: train!, test: test! };
}

async function readSplit(folder: string, files: readonly string[], [imagesName, labelsName]: readonly [string, string]): Promise<ImageSplit> {
  const [images, labels] = await Promise.all([readIdx(folder, files, imagesName, 3), readIdx(folder, files, labelsName, 1)]);
  const [count, height, width] = images.dimensions as [number, number, number];
  if (labels.dimensions[0] !== count) throw new DataError("countsDiffer", { folder, images: count, labels: labels.dimensions[0] }, `${folder}: ${imagesName} has ${count} images, ${labelsName} ${labels.dimensions[0]} labels. Copy both from one archive.`);
  const wrong = labels.data.findIndex((label) => label > 9);
  if (wrong >= 0) throw new DataError("labelOutOfRange", { folder, record: wrong, label: labels.data[wrong] }, `${join(folder, labelsName)}: record ${wrong} has label ${labels.data[wrong]}; 10 classes allow 0 to 9.`);
  return { images: images.data, labels: Int32Array.from(labels.data), count, channels: 1, height, width };
}

async function readIdx(folder: string, files: readonly string[], name: string, rank: number): Promise<{ dimensions: number[]; data: Uint8Array }> {
  const file = [name, `${name}.gz`].find((candidate) => files.includes(candidate));
  if (file === undefined) throw new DataError("missingFile", { folder, name }, `${folder} has neither ${name} nor ${name}.gz. Copy it there from the data set's archive.`);
  const path = join(folder, file);
  const raw = await readFile(path);
  const bytes = file.endsWith(".gz")
    ? await unzip(raw).catch((cause: unknown) => {
        throw new DataError("truncated", { path }, `${path} cannot be unpacked: it is cut off or damaged. Copy it again.`, { cause });
      })
    : raw;
  const header = 4 + 4 * rank;
  const dimensions = bytes.length < header ? [] : Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const expected = header + dimensions.reduce((product, d) => product * d, 1);
  if (bytes.length < header || bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8 || bytes[3] !== rank) throw new DataError("notIdx", { path }, `${path} is no IDX file of bytes with ${rank} dimensions. Copy it again.`);
  if (bytes.length !== expected || dimensions[0] === 0) throw new DataError("truncated", { path, found: bytes.length, expected }, `${path} is cut off or empty: ${bytes.length} bytes unpacked, its header promises ${expected}. Copy it again.`);
  return { dimensions, data: new Uint8Array(bytes.subarray(header)) };
}
