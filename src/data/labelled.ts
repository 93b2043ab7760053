import { DataError } from "../errors.ts";
import type { ImageDataset, ImageSplit } from "./dataset.ts";
import { imageValidation } from "./heldOut.ts";
import { channelStatistics } from "./statistics.ts";

export interface LabelledParts {
  readonly name: string;
  readonly path: string;
  /** Numbers where there are none. */
  readonly classNames?: readonly string[] | undefined;
  readonly train: ImageSplit;
  /** Undefined where a share of the training part is held out. */
  readonly test: ImageSplit | undefined;
  readonly valSplit: number;
}

/**
 * A data set of parts that were read: its classes are those of the labels, its normalisation that of the training part.
 *
 * @throws {DataError} if a part is empty, or the two differ in shape.
 */
export function labelledDataset({ name, path, classNames, train, test, valSplit }: LabelledParts): ImageDataset {
  if (test !== undefined && shapeOf(train) !== shapeOf(test)) {
    const message = `${path}: a sample of the training part is ${shapeOf(train)}, one of the test part ${shapeOf(test)}. Write both alike.`;
    throw new DataError("shapesDiffer", { path }, message);
  }
  const labels = [train, ...(test === undefined ? [] : [test])].map((part) => part.labels.reduce((a, b) => Math.max(a, b), 0));
  const numClasses = Math.max(classNames?.length ?? 0, 1 + Math.max(...labels));
  const common = {
    name,
    classNames: Array.from({ length: numClasses }, (_, k) => classNames?.[k] ?? String(k)),
    numClasses,
    ...(train.images instanceof Float32Array && { isLatent: true }),
    ...channelStatistics(train),
  };
  const data = test === undefined ? imageValidation({ ...common, train, test: train }, valSplit) : { ...common, train, test };
  if (data.train.count > 0 && data.test.count > 0) return data;
  const message =
    test === undefined
      ? `${path} has no test part, and --val-split ${valSplit} of its ${train.count} samples leaves ${data.train.count} for training and ${data.test.count} for tests. Choose another --val-split.`
      : `${path} has ${train.count} samples for training and ${test.count} for tests; both parts need some.`;
  throw new DataError("emptySplit", { path, train: data.train.count, test: data.test.count }, message);
}

function shapeOf({ channels, height, width }: ImageSplit): string {
  return `${channels}×${height}×${width}`;
}

/** @throws {DataError} if a label is no class. */
export function checkLabels(path: string, name: string, labels: ArrayLike<number>, classes: number): void {
  const record = Array.prototype.findIndex.call(labels, (label: number) => !(Number.isInteger(label) && label >= 0 && label < classes));
  if (record < 0) return;
  const label = labels[record]!;
  const message = `${path}: ${name}, record ${record}, is ${label}; classes are numbered from 0, up to ${classes - 1} with the limit of --max-classes ${classes}. Number them so.`;
  throw new DataError("labelOutOfRange", { path, record, label }, message);
}

/** @throws {DataError} if a number is not finite. */
export function checkFinite(path: string, name: string, numbers: Float32Array, count: number): void {
  const bad = numbers.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  const record = Math.floor((bad * count) / numbers.length);
  const message = `${path}: ${name}, record ${record}, holds ${numbers[bad]}, which is no finite number. Mend or remove it.`;
  throw new DataError("notFinite", { path, record }, message);
}
