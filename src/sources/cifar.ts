import type { ImageDataset, ImageSplit } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { readPickledImages, readPickledNames } from "./cifarPickle.ts";
import { archiveFiles, type FileSet, folderFiles, type NamedFile, startsWithFile } from "./fileSet.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { readRecords } from "./records.ts";

/** What the two data sets have in common in all their layouts. */
interface Cifar {
  readonly name: string;
  readonly numClasses: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const cifar10: Cifar = { name: "cifar-10", numClasses: 10, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };
const cifar100: Cifar = { name: "cifar-100", numClasses: 100, mean: [0.5071, 0.4867, 0.4408], std: [0.2675, 0.2565, 0.2761] };

/** The files of a data set, and how they are read. */
interface Layout {
  readonly of: Cifar;
  readonly name: string;
  readonly description: string;
  /** Names that a folder of it has. */
  readonly isKnownBy: readonly RegExp[];
  isTrain(name: string): boolean;
  readonly test: string;
  /** Where the names of classes are; numbers where it is missing. */
  readonly classNames: string;
  readImages(files: readonly NamedFile[]): ImageSplit;
  readNames(file: NamedFile): readonly string[];
}

const pictures = { channels: 3, size: 32 };

/** CIFAR-10 in its binary version: any number of data_batch_N.bin, test_batch.bin, and class names in batches.meta.txt. */
const cifar10Binary: Layout = {
  of: cifar10,
  name: "cifar-10",
  description: "a folder or archive with CIFAR-10's binary files",
  isKnownBy: [/^data_batch_\d+\.bin$/],
  isTrain: (name) => /^data_batch_\d+\.bin$/.test(name),
  test: "test_batch.bin",
  classNames: "batches.meta.txt",
  readImages: (files) => readRecords(files, { ...pictures, labelBytes: 1, numClasses: 10 }),
  readNames: linesOf,
};

/** CIFAR-100 in its binary version: train.bin and test.bin with a coarse and a fine label each, of which the fine one counts. */
const cifar100Binary: Layout = {
  of: cifar100,
  name: "cifar-100",
  description: "with CIFAR-100's",
  isKnownBy: [/^train\.bin$/],
  isTrain: (name) => name === "train.bin",
  test: "test.bin",
  classNames: "fine_label_names.txt",
  readImages: (files) => readRecords(files, { ...pictures, labelBytes: 2, numClasses: 100 }),
  readNames: linesOf,
};

/** CIFAR-10 as pickles: data_batch_N, test_batch, batches.meta. */
const cifar10Python: Layout = {
  of: cifar10,
  name: "cifar-10 as pickles",
  description: "with CIFAR-10's pickles",
  isKnownBy: [/^data_batch_\d+$/],
  isTrain: (name) => /^data_batch_\d+$/.test(name),
  test: "test_batch",
  classNames: "batches.meta",
  readImages: (files) => readPickledImages(files, { ...pictures, labels: "labels", numClasses: 10 }),
  readNames: (file) => readPickledNames(file, "label_names"),
};

/** CIFAR-100 as pickles: train, test, meta. */
const cifar100Python: Layout = {
  of: cifar100,
  name: "cifar-100 as pickles",
  description: "with CIFAR-100's pickles",
  isKnownBy: [/^train$/, /^meta$/],
  isTrain: (name) => name === "train",
  test: "test",
  classNames: "meta",
  readImages: (files) => readPickledImages(files, { ...pictures, labels: "fine_labels", numClasses: 100 }),
  readNames: (file) => readPickledNames(file, "fine_label_names"),
};

const isPart = ({ isTrain, test, classNames }: Layout, name: string): boolean => isTrain(name) || name === test || name === classNames;

/** The four layouts, each in a folder or in an archive as it is published. */
export const cifarFormats: readonly ImageFormat[] = [cifar10Binary, cifar100Binary, cifar10Python, cifar100Python].map((layout) => ({
  name: layout.name,
  description: layout.description,
  recognises: async (path, files) =>
    files === undefined
      ? await startsWithFile(path, (name) => isPart(layout, name))
      : layout.isKnownBy.every((name) => files.some((file) => name.test(file))),
  load: async (path, { files, limits }) => {
    const set = files.length > 0 ? folderFiles(path, files) : await archiveFiles(path, (name) => isPart(layout, name), limits);
    return await loadCifar(layout, set);
  },
}));

async function loadCifar(layout: Layout, files: FileSet): Promise<ImageDataset> {
  const { numClasses } = layout.of;
  const batches = files.names.filter(layout.isTrain).sort(new Intl.Collator("en", { numeric: true }).compare);
  if (batches.length === 0) {
    const message = `${files.path} has ${layout.test} and no file of the training part. Copy it again.`;
    throw new DataError("missingFile", { path: files.path }, message);
  }
  const [train, test] = await Promise.all(
    [batches, [layout.test]].map(async (names) => layout.readImages(await Promise.all(names.map((name) => files.read(name))))),
  );
  const names = files.names.includes(layout.classNames) ? layout.readNames(await files.read(layout.classNames)) : [];
  const classNames = Array.from({ length: numClasses }, (_, k) => names[k] ?? String(k));
  return { ...layout.of, classNames, train: train!, test: test! };
}

/** One name a line. */
function linesOf({ bytes }: NamedFile): string[] {
  return new TextDecoder()
    .decode(bytes)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
