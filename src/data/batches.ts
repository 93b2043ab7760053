import { DataError } from "../errors.ts";
import { fold, key, permutation } from "../random.ts";
import { type Augmentation, itemKey, normalisationTables, writeImage } from "./augment.ts";
import type { ImageSplit } from "./dataset.ts";

/** Normalised images [batch, channels, height, width] and their classes. */
export interface ImageBatch {
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface TrainBatchOptions extends Normalisation {
  readonly batchSize: number;
  readonly seed: number;
  readonly augmentation: Augmentation;
}

/** Training batches by number: batch `step` is a pure function of (seed, step), so a resumed run draws what it would have drawn. */
export interface TrainBatches {
  readonly stepsPerEpoch: number;
  /** Each epoch is a fresh permutation; items that do not fill a batch are left out. `into` is overwritten and returned where given. */
  at(step: number, into?: ImageBatch): ImageBatch;
}

/** @throws {DataError} if there are fewer items than a batch holds. */
export function trainBatches(split: ImageSplit, { batchSize, seed, augmentation, mean, std }: TrainBatchOptions): TrainBatches {
  if (!(batchSize >= 1 && batchSize <= split.count)) {
    throw new DataError("batchTooLarge", { batchSize, count: split.count }, `A batch of ${batchSize} cannot be drawn from ${split.count} training images. Choose a batch size from 1 to ${split.count}.`);
  }
  const tables = normalisationTables(mean, std);
  const pixels = split.channels * split.height * split.width;
  const stepsPerEpoch = Math.floor(split.count / batchSize);
  const root = fold(key(seed), "batches");
  let order = { epoch: -1, items: new Uint32Array() };
  return {
    stepsPerEpoch,
    at: (step, into = emptyBatch(batchSize, pixels)) => {
      const epoch = Math.floor(step / stepsPerEpoch);
      const epochKey = fold(root, epoch);
      if (order.epoch !== epoch) order = { epoch, items: permutation(fold(epochKey, "order"), split.count) as Uint32Array<ArrayBuffer> };
      const first = (step % stepsPerEpoch) * batchSize;
      for (let i = 0; i < batchSize; i++) {
        const item = order.items[first + i]!;
        into.labels[i] = split.labels[item]!;
        writeImage(into.images, i * pixels, split.images.subarray(item * pixels, (item + 1) * pixels), split, tables, augmentation, itemKey(epochKey, item));
      }
      return into;
    },
  };
}

/** All items in order, without augmentation. The last batch is filled up with zeros; `count` says how many items are real. */
export function* testBatches(split: ImageSplit, { batchSize, mean, std }: Normalisation & { readonly batchSize: number }): Generator<ImageBatch & { readonly count: number }> {
  const tables = normalisationTables(mean, std);
  const pixels = split.channels * split.height * split.width;
  for (let first = 0; first < split.count; first += batchSize) {
    const batch = emptyBatch(batchSize, pixels);
    const count = Math.min(batchSize, split.count - first);
    for (let i = 0; i < count; i++) {
      batch.labels[i] = split.labels[first + i]!;
      writeImage(batch.images, i * pixels, split.images.subarray((first + i) * pixels, (first + i + 1) * pixels), split, tables, "none", root0);
    }
    yield { ...batch, count };
  }
}

const root0 = key("no augmentation");

function emptyBatch(batchSize: number, pixels: number): ImageBatch {
  return { images: new Float32Array(batchSize * pixels), labels: new Int32Array(batchSize) };
}
