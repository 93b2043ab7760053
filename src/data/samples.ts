import { DataError } from "../errors.ts";
import { fold, type Key, uniformAt } from "../random.ts";
import { imageWriter, type Normalisation } from "./augment.ts";
import { type Augmentation, augmentationPlan } from "./augmentation.ts";
import type { ImageSplit } from "./dataset.ts";

/** As an image writer, with the label of what was written. */
export type SampleWriter = (out: Float32Array, offset: number, item: number, key: Key) => number;

export interface SampleOptions extends Normalisation {
  /** Of the labels, for label smoothing. */
  readonly numClasses?: number | undefined;
}

/**
 * The way of a split's training samples into batches: the image, augmented, then mixup and label smoothing. Labels stay classes: with
 * mixup the image is λ·x + (1 − λ)·x′, λ ~ Beta(α, α), and its label y with probability λ, else y′; with smoothing ε it is drawn from all
 * classes with probability ε. The expected loss is the cross-entropy of the soft labels, and a label that becomes noise (DiffusionBlocks,
 * NoProp) is one that the image may have.
 *
 * @throws {DataError} as `imageWriter` does; if labels are to be smoothed and the number of classes is not known.
 */
export function sampleWriter(split: ImageSplit, augmentation: Augmentation, { numClasses, ...normalisation }: SampleOptions): SampleWriter {
  const { mixup, labelSmoothing } = augmentationPlan(augmentation);
  const write = imageWriter(split, augmentation, normalisation);
  if (labelSmoothing > 0 && numClasses === undefined) {
    throw new DataError("noClasses", {}, "Label smoothing draws from all classes: give their number, numClasses.");
  }
  const pixels = split.channels * split.height * split.width;
  const other = new Float32Array(mixup > 0 ? pixels : 0);
  return (out, offset, item, key) => {
    write(out, offset, item, key);
    let label = split.labels[item]!;
    if (mixup > 0) {
      const draws = fold(key, "mixup");
      const share = symmetricBeta(mixup, fold(draws, "share"));
      const second = Math.floor(uniformAt(draws, 0) * split.count);
      write(other, 0, second, fold(draws, "other"));
      for (let i = 0; i < pixels; i++) out[offset + i] = share * out[offset + i]! + (1 - share) * other[i]!;
      if (uniformAt(draws, 1) >= share) label = split.labels[second]!;
    }
    if (labelSmoothing === 0) return label;
    const smooth = fold(key, "smoothing");
    return uniformAt(smooth, 0) < labelSmoothing ? Math.floor(uniformAt(smooth, 1) * numClasses!) : label;
  };
}

/** A draw of Beta(α, α), 0 < α ≤ 1, by Jöhnk's method: U^(1/α) / (U^(1/α) + V^(1/α)), where that sum is at most 1. */
function symmetricBeta(alpha: number, key: Key): number {
  for (let draw = 0; ; draw += 2) {
    const [u, v] = [Math.log(uniformAt(key, draw)) / alpha, Math.log(uniformAt(key, draw + 1)) / alpha];
    if (Math.exp(u) + Math.exp(v) <= 1) return 1 / (1 + Math.exp(v - u)); // by logarithms: powers of small α vanish
  }
}
