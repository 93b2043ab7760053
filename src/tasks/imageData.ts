import { z } from "zod";
import {
  type Augmentation,
  augmentationPlan,
  augmentationUsage,
  encodePngGrid,
  heldOutShare,
  type ImageBatch,
  type ImageDataset,
  type ImageInfo,
  imageValidation,
  type Normalisation,
  type PrefetchBatches,
  type ReadLimits,
  readLimits,
  trainBatches,
} from "../data/index.ts";
import { type BatchOptions, count, type ImageData, option, share } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { Section } from "../report/index.ts";
import type { BatchSource } from "../train/index.ts";

/** Options of image data besides their path. */
export const imageDataOptions = z.strictObject({
  augmentation: option(z.union([z.string(), z.array(z.string())]).check(isAugmentation), {
    flag: "augment",
    value: "list",
    description: `augmentation of training images: ${augmentationUsage.join(", ")}`,
    byDefault: "flip,crop:4 of pixels, none of numbers",
  }).optional(),
  imageSize: option(count, {
    value: "pixels",
    description: "scale the images of files to this short side and crop the square in the middle",
    byDefault: "as they are",
  }).optional(),
  valSplit: option(share, {
    description: "share of the images of each class that is held out where there is no test part, or for validation",
    byDefault: "0.1",
  }).optional(),
  label: option(z.string().min(1), {
    value: "column",
    description: "column of the classes, in tables and parquet files",
    byDefault: "label, class, target or y",
  }).optional(),
  maxImagePixels: bound("imagePixels", "pixels", "largest image that is decoded"),
  maxClasses: bound("classes", "n", "most classes of latents, whose labels are numbers"),
  maxExpansion: bound("expansion", "times", "most bytes that a byte of a compressed file may unpack to"),
});

/** A check of the schema: what is wrong with an augmentation. */
function isAugmentation({ value, issues }: { readonly value: Augmentation; readonly issues: z.core.$ZodRawIssue[] }): void {
  try {
    augmentationPlan(value);
  } catch (error) {
    issues.push({ code: "custom", message: (error as Error).message, input: value });
  }
}

/** What the options say, else what the data allow. */
export function augmentationOf(
  { isLatent = false }: Pick<ImageDataset, "isLatent">,
  { augmentation }: Pick<ImageDataOptions, "augmentation">,
): Augmentation {
  return augmentation ?? (isLatent ? "none" : "flip-crop");
}

function bound(name: keyof ReadLimits, value: string, description: string): z.ZodOptional<z.ZodInt> {
  return option(count, { value, description, byDefault: String(readLimits[name]), advanced: true, bound: true }).optional();
}

/** The bounds that options set, for the readers of files. */
export function imageLimits({ maxImagePixels, maxClasses, maxExpansion }: Partial<ImageDataOptions>): Partial<ReadLimits> {
  return {
    ...(maxImagePixels !== undefined && { imagePixels: maxImagePixels }),
    ...(maxClasses !== undefined && { classes: maxClasses }),
    ...(maxExpansion !== undefined && { expansion: maxExpansion }),
  };
}

export type ImageDataOptions = z.output<typeof imageDataOptions>;

export const imagePath = "CIFAR, MNIST, folder or tar(.gz) of images, parquet, .npz, .csv, latents as .safetensors, or embedded";

/** @param normalisation how pixels become numbers. */
export function imageInfo(data: ImageDataset, { mean, std }: Normalisation): ImageInfo {
  const { name, numClasses, classNames, isLatent = false, train } = data;
  const { channels, height, width } = train;
  return { name, channels, height, width, numClasses, classNames, isLatent, mean, std };
}

/** A share of the training images of each class in place of the test part. */
export function imageValidationOf(data: ImageDataset, { valSplit = heldOutShare }: ImageDataOptions): ImageDataset {
  const held = imageValidation(data, valSplit);
  if (held.test.count > 0 && held.train.count > 0) return held;
  const { count } = data.train;
  const message = `--val-split ${valSplit} of the ${count} training images leaves ${held.train.count} for training and ${held.test.count} for validation. Choose another --val-split.`;
  throw new UsageError("emptyValidation", { valSplit, count }, message);
}

/** CIFAR-10's. */
export const commonImages: Partial<ImageInfo> = { name: "the images", height: 32, width: 32, channels: 3, numClasses: 10 };

/** @throws {UsageError} if the images are not square. */
export function imageShape({ name, channels, height, width, numClasses }: ImageInfo): ImageData {
  if (height === width) return { channels, imageSize: height, numClasses };
  throw new UsageError("notSquare", { height, width }, `${name}: images must be square, these are ${width}×${height}.`);
}

/**
 * Training batches, made where they are used in memory that is taken once: a batch is valid until as many others as one update takes were
 * asked for.
 *
 * @param prefetch makes them in a thread of its own, for devices beside which the CPU is free.
 */
export function imageBatches(
  data: ImageDataset,
  chosen: Pick<ImageDataOptions, "augmentation">,
  { batchSize, seed, accumulate }: BatchOptions,
  { mean, std }: Normalisation,
  prefetch?: PrefetchBatches,
): BatchSource & Partial<AsyncDisposable> {
  const options = { batchSize, seed, augmentation: augmentationOf(data, chosen), mean, std, numClasses: data.numClasses };
  if (prefetch !== undefined) {
    const batches = prefetch(data.train, options);
    return {
      stepsPerEpoch: batches.stepsPerEpoch,
      at: async (index) => stepBatch(await batches.at(index)),
      [Symbol.asyncDispose]: () => batches[Symbol.asyncDispose](),
    };
  }
  const batches = trainBatches(data.train, options);
  const kept: ImageBatch[] = [];
  return {
    stepsPerEpoch: batches.stepsPerEpoch,
    at: (index) => {
      const place = index % accumulate;
      kept[place] = batches.at(index, kept[place]);
      return stepBatch(kept[place]);
    },
  };
}

function stepBatch({ images, labels }: ImageBatch): { readonly input: Float32Array; readonly labels: Int32Array } {
  return { input: images, labels };
}

/** A sheet of training images; none for latent ones. */
export function sampleSheet({ train }: ImageDataset, count = 40): Uint8Array | undefined {
  const { channels, height, width, images } = train;
  if (images instanceof Float32Array) return undefined;
  return encodePngGrid(images, { count: Math.min(count, train.count), channels, height, width, columns: 20, scale: 1 });
}

/** A sheet of images, and how many there are. */
export function imageDataSection(data: ImageDataset): Section {
  const { channels, height, width, count } = data.train;
  const caption = `${data.name}: ${count} training images${data.isLatent ? `, latent, ${channels}×${height}×${width}` : ""}, ${data.numClasses} classes`;
  const png = sampleSheet(data);
  return { heading: "Data", ...(png === undefined ? { paragraphs: [caption] } : { images: [{ caption, png }] }) };
}
