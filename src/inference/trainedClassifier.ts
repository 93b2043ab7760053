import { softmaxOf } from "../blocks/index.ts";
import type { ImageInfo } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { argMax, type Classifier, createPredictor } from "../train/index.ts";
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
  /** One block, which answers alone. @throws {UsageError} if there is no block of this number. */
  block(index: number): TrainedClassifier;
}

/** Wraps a trained method and its parameters. */
export function trainedClassifier(method: Classifier, info: ImageInfo, use: TrainedUse, block?: number): TrainedClassifier {
  const { batchSize = 32 } = use;
  const { channels, height, width, numClasses, mean, std } = info;
  const pixels = channels * height * width;
  const unit = block === undefined ? undefined : method.units[block];
  const predictor = createPredictor(method, { ...use, batchSize });
  return {
    info,
    predict: async (images, { seed = 0 } = {}) => {
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
    },
    block: (index) => {
      if (method.units[index] !== undefined) return trainedClassifier(method, info, use, index);
      throw new UsageError("unknownUnit", { index }, `There is no block ${index}; there are ${method.units.length}, from 0 on.`);
    },
    ...disposing(predictor, use),
  };
}
