import { DataError } from "../errors.ts";
import { fold, type Key, key, permutation, uniformAt } from "../random.ts";
import { type ImageWriter, imageWriter, type Normalisation } from "./augment.ts";
import { type Augmentation, augmentationPlan } from "./augmentation.ts";
import type { ImageSplit } from "./dataset.ts";

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
  const write = imageWriter(split, augmentation, { mean, std });
  const pixels = split.channels * split.height * split.width;
  const blend = blender(split, augmentation, numClasses, write);
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
        into.labels[i] = split.labels[item]!;
        const itemKey = fold(epochKey, item);
        write(into.images, i * pixels, item, itemKey);
        blend?.(into, i, itemKey);
      }
      return into;
    },
  };
}

/** Blends item `i` of a batch with another one, or draws its label anew. */
type Blend = (batch: ImageBatch, i: number, key: Key) => void;

/**
 * Mixup and label smoothing. Labels stay classes: with mixup the image is λ·x + (1 − λ)·x′, λ ~ Beta(α, α), and its label y with
 * probability λ, else y′; with smoothing ε it is drawn from all classes with probability ε. The expected loss is the cross-entropy of the
 * soft labels, and a label that becomes noise (DiffusionBlocks, NoProp) is one that the image may have.
 *
 * @returns undefined where neither is asked for.
 */
function blender(split: ImageSplit, augmentation: Augmentation, numClasses: number | undefined, write: ImageWriter): Blend | undefined {
  const { mixup, labelSmoothing } = augmentationPlan(augmentation);
  if (mixup === 0 && labelSmoothing === 0) return undefined;
  if (labelSmoothing > 0 && numClasses === undefined) {
    throw new DataError("noClasses", {}, "Label smoothing draws from all classes: give their number, numClasses.");
  }
  const pixels = split.channels * split.height * split.width;
  const other = new Float32Array(pixels);
  return ({ images, labels }, i, key) => {
    if (mixup > 0) {
      const draws = fold(key, "mixup");
      const share = symmetricBeta(mixup, fold(draws, "share"));
      const item = Math.floor(uniformAt(draws, 0) * split.count);
      write(other, 0, item, fold(draws, "other"));
      for (let pixel = 0, at = i * pixels; pixel < pixels; pixel++, at++) images[at] = share * images[at]! + (1 - share) * other[pixel]!;
      if (uniformAt(draws, 1) >= share) labels[i] = split.labels[item]!;
    }
    const smooth = fold(key, "smoothing");
    if (labelSmoothing > 0 && uniformAt(smooth, 0) < labelSmoothing) labels[i] = Math.floor(uniformAt(smooth, 1) * numClasses!);
  };
}

/** A draw of Beta(α, α), 0 < α ≤ 1, by Jöhnk's method: U^(1/α) / (U^(1/α) + V^(1/α)), where that sum is at most 1. */
function symmetricBeta(alpha: number, key: Key): number {
  for (let draw = 0; ; draw += 2) {
    const [u, v] = [Math.log(uniformAt(key, draw)) / alpha, Math.log(uniformAt(key, draw + 1)) / alpha];
    if (Math.exp(u) + Math.exp(v) <= 1) return 1 / (1 + Math.exp(v - u)); // by logarithms: powers of small α vanish
  }
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
