import { join } from "node:path";
import {
  type IdxArray,
  type ImageDataset,
  type ImageSplit,
  idxHeaderBytes,
  idxSplit,
  idxValues,
  parseIdxHeader,
  type ReadLimits,
} from "../data/index.ts";
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
  const [images, labels] = await Promise.all([readIdx(source, names[0], 3), readIdx(source, names[1], 1)]);
  return idxSplit(images, labels, 10);
}

async function readIdx({ folder, files, limits }: Folder, name: string, rank: number): Promise<IdxArray> {
  const file = [name, `${name}.gz`].find((candidate) => files.includes(candidate));
  if (file === undefined) {
    const message = `${folder} has neither ${name} nor ${name}.gz. Copy it there from the data set's archive.`;
    throw new DataError("missingFile", { folder, name }, message);
  }
  const path = join(folder, file);
  const raw = await wholeFile(path);
  const isPacked = file.endsWith(".gz");
  const header = parseIdxHeader(path, isPacked ? gunzipStart(path, raw, idxHeaderBytes(rank)) : raw, rank, limits);
  const bytes = isPacked ? await gunzipTo(path, raw, header.totalBytes, limits) : raw;
  const values = idxValues(path, header, bytes);
  return { path, dimensions: header.dimensions, values: new Uint8Array(values.buffer, values.byteOffset, values.length) }; // no Buffer
}
