import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ImageDataset } from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { readRecords } from "./records.ts";

const cifar10Statistics = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };
const cifar100Statistics = { mean: [0.5071, 0.4867, 0.4408], std: [0.2675, 0.2565, 0.2761] };

const isCifar10Batch = (name: string): boolean => /^data_batch_\d+\.bin$/.test(name);

export const cifar10Format: ImageFormat = {
  name: "cifar-10",
  description: "a folder with CIFAR-10's binary files",
  recognises: (_, files) => files?.some(isCifar10Batch) ?? false,
  load: (path, { files }) => loadCifar10(path, files),
};

export const cifar100Format: ImageFormat = {
  name: "cifar-100",
  description: "a folder with CIFAR-100's",
  recognises: (_, files) => files?.includes("train.bin") ?? false,
  load: (path, { files }) => loadCifar100(path, files),
};

/** CIFAR-10 in its binary version: any number of data_batch_N.bin, test_batch.bin, and class names in batches.meta.txt. */
async function loadCifar10(folder: string, files: readonly string[]): Promise<ImageDataset> {
  const numClasses = 10;
  const format = { labelBytes: 1, numClasses, channels: 3, size: 32 };
  const batches = files.filter(isCifar10Batch).sort(new Intl.Collator("en", { numeric: true }).compare);
  const paths = [batches.map((name) => join(folder, name)), [needed(folder, files, "test_batch.bin")]];
  const [train, test] = await Promise.all(paths.map((part) => readRecords(part, format)));
  const names = await classNames(join(folder, "batches.meta.txt"), numClasses);
  return { name: "cifar-10", classNames: names, numClasses, ...cifar10Statistics, train: train!, test: test! };
}

/** CIFAR-100 in its binary version: train.bin and test.bin with a coarse and a fine label each, of which the fine one counts. */
async function loadCifar100(folder: string, files: readonly string[]): Promise<ImageDataset> {
  const numClasses = 100;
  const format = { labelBytes: 2, numClasses, channels: 3, size: 32 };
  const paths = ["train.bin", "test.bin"].map((name) => needed(folder, files, name));
  const [train, test] = await Promise.all(paths.map((path) => readRecords([path], format)));
  const names = await classNames(join(folder, "fine_label_names.txt"), numClasses);
  return { name: "cifar-100", classNames: names, numClasses, ...cifar100Statistics, train: train!, test: test! };
}

/** The path of a file that must be there. */
function needed(folder: string, files: readonly string[], name: string): string {
  if (files.includes(name)) return join(folder, name);
  throw new DataError("missingFile", { folder, name }, `${folder} has no ${name}. Copy it there from the data set's archive.`);
}

/** One name a line; numbers where the file is missing. */
async function classNames(path: string, count: number): Promise<string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const names = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return Array.from({ length: count }, (_, k) => names[k] ?? String(k));
}
