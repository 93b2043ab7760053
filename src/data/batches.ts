import { DataError } from "../errors.ts";
import { fold, key, permutation } from "../random.ts";
import { imageWriter, type Normalisation } from "./augment.ts";
import type { Augmentation } from "./augmentation.ts";
import type { ImageSplit } from "./dataset.ts";
import { sampleWriter } from "./samples.ts";

/** Normalised images [batch, channels, height, width] and their classes. */
export interface ImageBatch {
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

export interface TrainBatchOptions extends Normalisation {
  readonly batchSize: number;
  readonly seed: number;
  readonly augmentation: Augmentation;
  /** Of the labels, for label smoothing. */
  readonly numClasses?: number;
}

/** Training batches by number: batch `step` is a pure function of (seed, step), so a resumed run draws what it would have drawn. */
export interface TrainBatches {
  readonly stepsPerEpoch: number;
  /**
   * Each epoch is a fresh permutation; items that do not fill a batch are left out.
   * @param into a batch of this size, which is overwritten and returned.
   */
  at(step: number, into?: ImageBatch): ImageBatch;
}

/** As {@link TrainBatches}, made beside the training step: in a thread of its own. */
export interface PrefetchedBatches extends AsyncDisposable {
  readonly stepsPerEpoch: number;
  /** @returns the same bytes as `trainBatches(...).at(step)`; the batch after the last one asked for is usually ready. */
  at(step: number): Promise<ImageBatch>;
}

/** Starts making training batches beside the step, on platforms that can. */
export type PrefetchBatches = (split: ImageSplit, options: TrainBatchOptions) => PrefetchedBatches;

/** @throws {DataError} if there are fewer items than a batch holds, or the normalisation or augmentation does not fit the images. */
export function trainBatches(split: ImageSplit, { batchSize, seed, augmentation, mean, std, numClasses }: TrainBatchOptions): TrainBatches {
  if (!(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= split.count)) {
    const message = `A batch of ${batchSize} cannot be drawn from ${split.count} training images. Choose a batch size from 1 to ${split.count}.`;
    throw new DataError("batchTooLarge", { batchSize, count: split.count }, message);
  }
  const write = sampleWriter(split, augmentation, { mean, std, numClasses });
  const pixels = split.channels * split.height * split.width;
  const stepsPerEpoch = Math.floor(split.count / batchSize);
  const root = fold(key(seed), "batches");
  let epoch = -1;
  let epochKey = root;
  let order = new Uint32Array();
  return {
    stepsPerEpoch,
    at: (step, into = emptyBatch(batchSize, pixels)) => {
      checkStep(step);
      checkBatch(into, batchSize, pixels);
      const wanted = Math.floor(step / stepsPerEpoch);
      if (wanted !== epoch) {
        epochKey = fold(root, wanted);
        order = permutation(fold(epochKey, "order"), split.count) as Uint32Array<ArrayBuffer>;
        epoch = wanted;
      }
      const first = (step % stepsPerEpoch) * batchSize;
      for (let i = 0; i < batchSize; i++) {
        const item = order[first + i]!;
        into.labels[i] = write(into.images, i * pixels, item, fold(epochKey, item));
      }
      return into;
    },
  };
}

export interface TestBatchOptions extends Normalisation {
  readonly batchSize: number;
  /** Make all batches in the same arrays: each is valid until the next. */
  readonly reuse?: boolean;
}

/** All items in order, without augmentation. The last batch is filled up with zeros; `count` says how many items are real. */
export function* testBatches(
  split: ImageSplit,
  { batchSize, mean, std, reuse = false }: TestBatchOptions,
): Generator<ImageBatch & { readonly count: number }> {
  const write = imageWriter(split, "none", { mean, std });
  const pixels = split.channels * split.height * split.width;
  let batch = emptyBatch(batchSize, pixels);
  for (let first = 0; first < split.count; first += batchSize) {
    if (first > 0 && !reuse) batch = emptyBatch(batchSize, pixels);
    const count = Math.min(batchSize, split.count - first);
    batch.images.fill(0, count * pixels);
    batch.labels.fill(0, count);
    batch.labels.set(split.labels.subarray(first, first + count));
    for (let i = 0; i < count; i++) write(batch.images, i * pixels, first + i, noDraws);
    yield { ...batch, count };
  }
}

const noDraws = key("no augmentation");

function emptyBatch(batchSize: number, pixels: number): ImageBatch {
  return { images: new Float32Array(batchSize * pixels), labels: new Int32Array(batchSize) };
}

/** @throws {DataError} if a batch has no such number. */
export function checkStep(step: number): void {
  if (!(Number.isSafeInteger(step) && step >= 0))
    throw new DataError("badStep", { step }, `There is no batch ${step}: batches are numbered 0, 1, 2 and so on.`);
}

function checkBatch({ images, labels }: ImageBatch, batchSize: number, pixels: number): void {
  if (labels.length === batchSize && images.length === batchSize * pixels) return;
  const message = `The batch to be overwritten has ${labels.length} labels and ${images.length} pixels; batches have ${batchSize} and ${batchSize * pixels}.`;
  throw new DataError("badBatch", { labels: labels.length, images: images.length, batchSize, pixels }, message);
}
