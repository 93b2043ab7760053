import type { ImageInfo, Normalisation } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { createCaller, type TrainingMethod } from "../train/index.ts";
import type { ImageGenerator } from "./answers.ts";
import { defaultImageSampling, drawImages, type ImageSampling, imageLevels, imagesPerBatch } from "./images.ts";
import { disposing, type TrainedModel, type TrainedUse } from "./trainedModel.ts";

export interface ImageSampleOptions extends Partial<ImageSampling> {
  readonly count: number;
  /** One class for all images; all classes in turn by default. */
  readonly label?: number | undefined;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each batch as it is finished. */
  readonly onImages?: (images: SampledImages) => void | Promise<void>;
  /** Called after each step of a trajectory. */
  readonly onStep?: (step: SampleProgress) => void | Promise<void>;
}

/** Some images, as numbers in [−1, 1] for black and white, or latent ones in their own scale, [count, channels, size, size]. */
export interface SampledImages {
  /** The number of the first. */
  readonly first: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
  readonly channels: number;
  readonly size: number;
}

export interface SampleProgress {
  /** Images that were finished before this trajectory. */
  readonly done: number;
  readonly step: number;
  readonly steps: number;
  readonly sigma: number;
  /** The block at work, and its estimate of the images. */
  readonly block: number;
  readonly denoised: Float32Array;
}

/** A trained image generator as a value. */
export interface TrainedImageModel extends TrainedModel {
  readonly info: ImageInfo;
  readonly numBlocks: number;
  /**
   * Draws images: noise is walked down the levels, at each through the block that owns it. Image i of a seed is the
   * same in any batch size and count. After the signal it stops behind the trajectory in progress.
   *
   * @returns images in [−1, 1], [count, channels, size, size], and their classes.
   * @throws {UsageError} if the class is out of range, or guidance is asked of a network without classes.
   */
  sample(options: ImageSampleOptions): Promise<Pick<SampledImages, "images" | "labels">>;
}

/** Wraps a trained method and its parameters. */
export function trainedImageModel(method: TrainingMethod & ImageGenerator, info: ImageInfo, use: TrainedUse): TrainedImageModel {
  const { batchSize = 32 } = use;
  const caller = createCaller(method, { ...use, batchSize });
  const { numClasses, imageShape, estimates } = method;
  const [channels, size] = imageShape;
  return {
    info,
    numBlocks: estimates.length,
    sample: async ({ count, label, seed = 0, signal, onImages, onStep, ...options }) => {
      const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
      const sampling: ImageSampling = { ...defaultImageSampling, ...given };
      checkLabel(label, numClasses, info);
      if (sampling.guidance !== 1 && numClasses === 0)
        throw new UsageError(
          "noGuidance",
          {},
          "This network was trained without classes, so there is nothing to guide by. Leave --guidance out.",
        );
      const perBatch = imagesPerBatch(batchSize, sampling);
      const steps = imageLevels(method, sampling).length - 1;
      const parts: SampledImages[] = [];
      for (let done = 0; done < count && !signal?.aborted; ) {
        const numbers = Array.from({ length: Math.min(perBatch, count - done) }, (_, i) => done + i);
        const labels = Int32Array.from(numbers, (i) => label ?? (numClasses === 0 ? 0 : i % numClasses));
        const images = await drawImages({
          model: method,
          call: caller.call,
          batchSize,
          labels,
          keys: numbers.map((i) => fold(fold(key(seed), "image"), i)),
          sampling,
          onStep: ({ step, ...rest }) => onStep?.({ done, step: step + 1, steps, ...rest }),
        });
        if (info.isLatent) restoreScale(images, info, size * size);
        const part = { first: done, images, labels, count: numbers.length, channels, size };
        if (onImages === undefined) parts.push(part);
        else await onImages(part);
        done += numbers.length;
      }
      return {
        images: joined(
          Float32Array,
          parts.map(({ images }) => images),
        ),
        labels: joined(
          Int32Array,
          parts.map(({ labels }) => labels),
        ),
      };
    },
    ...disposing(caller, use),
  };
}

function joined<Values extends Float32Array | Int32Array>(type: new (length: number) => Values, parts: readonly Values[]): Values {
  const out = new type(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Undoes the normalisation, in place. */
function restoreScale(images: Float32Array, { mean, std }: Normalisation, pixels: number): void {
  for (let i = 0; i < images.length; i++) {
    const channel = Math.floor(i / pixels) % mean.length;
    images[i] = images[i]! * std[channel]! + mean[channel]!;
  }
}

function checkLabel(label: number | undefined, numClasses: number, { classNames }: ImageInfo): void {
  if (label === undefined || (label >= 0 && label < numClasses)) return;
  const known =
    numClasses === 0
      ? "this network knows no classes"
      : `there are ${numClasses}: 0 (${classNames[0]}) to ${numClasses - 1} (${classNames[numClasses - 1]})`;
  throw new UsageError("label", { label, numClasses }, `--class ${label}: ${known}.`);
}
