import type { ImageInfo } from "../data/index.ts";
import { softmaxOf } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import type { Classifier, Unit } from "../train/index.ts";
import { argMax, createPredictor, type Predictor } from "./classify.ts";
import { disposing, type TrainedModel, type TrainedUse } from "./trainedModel.ts";

export interface Prediction {
  /** The likeliest class of each image, [count]. */
  readonly labels: Int32Array;
  /** [count, classes] */
  readonly probabilities: Float32Array;
}

/** A trained classifier as a value. */
export interface TrainedClassifier extends TrainedModel {
  readonly info: ImageInfo;
  /**
   * Classifies images.
   *
   * @param images [count, channels, height, width]: bytes, or numbers from 0 to 1.
   * @param options.seed of the noise that the reverse process starts from.
   * @throws {UsageError} if the numbers are not those of whole images.
   */
  predict(images: Uint8Array | Float32Array, options?: { readonly seed?: number }): Promise<Prediction>;
  /**
   * One block, which answers alone, for as long as the model is not disposed of.
   *
   * @throws {UsageError} if there is no block of this number.
   */
  block(index: number): BlockClassifier;
}

/** A block of a trained classifier. */
export type BlockClassifier = Pick<TrainedClassifier, "predict">;

/** Wraps a trained method and its parameters. */
export function trainedClassifier(method: Classifier, info: ImageInfo, use: TrainedUse): TrainedClassifier {
  const { batchSize = 32 } = use;
  const predictor = createPredictor(method, { ...use, batchSize });
  const by = (unit?: Unit): BlockClassifier => ({
    predict: (images, { seed = 0 } = {}) => classify(predictor, images, { info, batchSize, seed, unit }),
  });
  return {
    info,
    ...by(),
    block: (index) => {
      const unit = method.units[index];
      if (unit !== undefined) return by(unit);
      throw new UsageError("unknownUnit", { index }, `There is no block ${index}; there are ${method.units.length}, from 0 on.`);
    },
    ...disposing(predictor, use),
  };
}

interface Classified {
  readonly info: ImageInfo;
  readonly batchSize: number;
  readonly seed: number;
  /** Who answers; all units by default. */
  readonly unit: Unit | undefined;
}

/** @throws {UsageError} if the numbers are not those of whole images. */
async function classify(
  predictor: Predictor,
  images: Uint8Array | Float32Array,
  { info, batchSize, seed, unit }: Classified,
): Promise<Prediction> {
  const { channels, height, width, numClasses, mean, std } = info;
  const pixels = channels * height * width;
  const count = images.length / pixels;
  if (!Number.isInteger(count) || count === 0) {
    const message = `predict: ${images.length} numbers are not whole images of ${channels}×${height}×${width}.`;
    throw new UsageError("imageSize", { length: images.length, channels, height, width }, message);
  }
  const scale = images instanceof Uint8Array ? 1 / 255 : 1;
  const probabilities = new Float32Array(count * numClasses);
  const labels = new Int32Array(count);
  for (let first = 0, batch = 0; first < count; first += batchSize, batch++) {
    const input = new Float32Array(batchSize * pixels);
    const part = images.subarray(first * pixels, (first + batchSize) * pixels);
    for (const [i, value] of part.entries()) {
      const channel = Math.floor(i / (height * width)) % channels;
      input[i] = (value * scale - mean[channel]!) / std[channel]!;
    }
    const scores = await predictor.predict(input, fold(fold(key(seed), "evaluation"), batch), unit);
    const known = Math.min(batchSize, count - first);
    labels.set(argMax(scores, numClasses).subarray(0, known), first);
    for (let i = 0; i < known; i++)
      probabilities.set(softmaxOf(scores.subarray(i * numClasses, (i + 1) * numClasses)), (first + i) * numClasses);
  }
  return { labels, probabilities };
}
