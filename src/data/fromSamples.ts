import { DataError } from "../errors.ts";
import type { ImageDataset, ImageShape, ImageSplit } from "./dataset.ts";
import { heldOutShare } from "./heldOut.ts";
import { checkFinite, checkLabels, labelledDataset } from "./labelled.ts";
import { readLimits } from "./limits.ts";

/** A sample of one's own: an image as bytes, or numbers, planar [channels, height, width], and its class. */
export interface Sample {
  readonly image: Uint8Array | Uint8ClampedArray | Float32Array | readonly number[];
  readonly label: number;
}

/** Samples from anywhere: a list of known length, or what comes one after the other, such as rows of a database. */
export type Samples = { readonly length: number; at(index: number): Sample | undefined } | Iterable<Sample> | AsyncIterable<Sample>;

export interface DatasetFromOptions extends ImageShape {
  readonly name: string;
  readonly train: Samples;
  /** By default a share of each class of the training samples is held out. */
  readonly test?: Samples;
  /** That share; 0.1 by default. */
  readonly valSplit?: number;
  /** Numbers by default. */
  readonly classNames?: readonly string[];
}

/**
 * A data set of one's own samples, in memory. Bytes are pixels; other numbers are learned from as they are, normalised for each channel.
 * A plugin's image format returns it, so that `--data` reads it too.
 *
 * @throws {DataError} if a sample has another size, a label is no class, a number is not finite, or a part is empty.
 * @example const data = await datasetFrom({ name: "clouds", channels: 3, height: 32, width: 32, train: rows })
 */
export async function datasetFrom(options: DatasetFromOptions): Promise<ImageDataset> {
  const { name, classNames, valSplit = heldOutShare } = options;
  const train = await splitOf(options.train, "train", options);
  const test = options.test === undefined ? undefined : await splitOf(options.test, "test", options);
  return labelledDataset({ name, path: name, classNames, train, test, valSplit });
}

async function splitOf(
  samples: Samples,
  part: string,
  { name, channels, height, width, classNames }: DatasetFromOptions,
): Promise<ImageSplit> {
  const pixels = channels * height * width;
  const images: Sample["image"][] = [];
  const labels: number[] = [];
  for await (const { image, label } of inOrder(samples)) {
    if (image.length !== pixels) {
      const message = `${name}: ${part} sample ${images.length} has ${image.length} values; ${channels}×${height}×${width} are ${pixels}.`;
      throw new DataError("badSample", { name, part, sample: images.length, length: image.length }, message);
    }
    images.push(image);
    labels.push(label);
  }
  const isPixels = images.every((image) => image instanceof Uint8Array || image instanceof Uint8ClampedArray);
  const all = isPixels ? new Uint8Array(images.length * pixels) : new Float32Array(images.length * pixels);
  for (const [i, image] of images.entries()) all.set(image, i * pixels);
  if (all instanceof Float32Array) checkFinite(name, part, all, images.length);
  checkLabels(name, `${part} label`, labels, classNames?.length ?? readLimits.classes);
  return { images: all, labels: Int32Array.from(labels), count: images.length, channels, height, width };
}

async function* inOrder(samples: Samples): AsyncGenerator<Sample> {
  if (Symbol.asyncIterator in samples || Symbol.iterator in samples) yield* samples as AsyncIterable<Sample>;
  else for (let i = 0; i < samples.length; i++) yield samples.at(i)!;
}
