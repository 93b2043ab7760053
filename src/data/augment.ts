import { DataError } from "../errors.ts";
import { type Key, uniformAt } from "../random.ts";
import type { ImageShape, ImageSplit } from "./dataset.ts";
import { createCanvas } from "./imageOperations.ts";
import { randAugment } from "./randAugment.ts";

/**
 * Augmentation of training images: none; a mirroring half of the time; with it a random crop out of 4 pixels of black
 * padding; or RandAugment after those two.
 */
export type Augmentation = "none" | "flip" | "flip-crop" | "randaugment";

export const augmentations: readonly Augmentation[] = ["none", "flip", "flip-crop", "randaugment"];

/** Mean and standard deviation of pixels in [0, 1] for each channel: what is subtracted, and divided by. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Writes image `item` to `out` from `offset` on, augmented by the draws of `key`, then normalised: (byte/255 -
 * mean)/std, or (number - mean)/std.
 */
export type ImageWriter = (out: Float32Array, offset: number, item: number, key: Key) => void;

const padding = 4;

/**
 * The way of a split's images into batches. The result depends on the image and the key alone; memory for the work is
 * taken once, here.
 *
 * @throws {DataError} if mean or std do not have one value for each channel, or RandAugment is asked for images that
 *   are neither grey nor RGB.
 */
export function imageWriter(split: ImageSplit, augmentation: Augmentation, normalisation: Normalisation): ImageWriter {
  const { images, channels, height, width } = split;
  const pixels = channels * height * width;
  checkNormalisation(channels, normalisation);
  if (images instanceof Float32Array) return latentWriter(images, split, augmentation, normalisation);
  const tables = normalisationTables(normalisation);
  if (augmentation === "none") return (out, offset, item) => writeThrough(tables, out, offset, images, item * pixels, split);
  if (augmentation === "flip")
    return (out, offset, item, key) => writeShifted(tables, out, offset, images, item * pixels, split, 0, 0, uniformAt(key, 2) < 0.5);
  if (augmentation === "flip-crop") return (out, offset, item, key) => writeCropped(tables, out, offset, images, item * pixels, split, key);
  if (channels !== 1 && channels !== 3) {
    const message = `RandAugment knows grey and RGB images; these have ${channels} channels. Choose the augmentation flip-crop or none.`;
    throw new DataError("badChannels", { channels, augmentation }, message);
  }
  const canvas = createCanvas(split);
  const bytes = Array<Uint8Array>(channels).fill(Uint8Array.from({ length: 256 }, (_, byte) => byte));
  return (out, offset, item, key) => {
    writeCropped(bytes, canvas.pixels, 0, images, item * pixels, split, key);
    randAugment(canvas, key);
    writeThrough(tables, out, offset, canvas.pixels, 0, split);
  };
}

/** Latent numbers are not pixels: of the augmentations they allow the mirroring at most. */
function latentWriter(
  latents: Float32Array,
  { channels, height, width }: ImageShape,
  augmentation: Augmentation,
  { mean, std }: Normalisation,
): ImageWriter {
  if (augmentation !== "none" && augmentation !== "flip") {
    const message = `The augmentation ${augmentation} is for pixels, and these are latent images. Choose none or flip.`;
    throw new DataError("latentAugmentation", { augmentation }, message);
  }
  const pixels = channels * height * width;
  return (out, offset, item, key) => {
    const flip = augmentation === "flip" && uniformAt(key, 2) < 0.5;
    for (let channel = 0, i = 0; channel < channels; channel++) {
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++, i++) {
          const from = flip ? i + width - 1 - 2 * column : i;
          out[offset + i] = (latents[item * pixels + from]! - mean[channel]!) / std[channel]!;
        }
    }
  };
}

/** The value of each byte for each channel. */
type Tables<T> = readonly T[];

function checkNormalisation(channels: number, { mean, std }: Normalisation): void {
  if (mean.length !== channels || std.length !== channels) {
    const message = `Images of ${channels} channels need as many means and deviations; given are ${mean.length} and ${std.length}.`;
    throw new DataError("badNormalisation", { channels, mean, std }, message);
  }
}

function normalisationTables({ mean, std }: Normalisation): Tables<Float32Array> {
  return mean.map((m, channel) => Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - m) / std[channel]!));
}

function writeThrough(
  tables: Tables<Float32Array>,
  out: Float32Array,
  offset: number,
  image: Uint8Array,
  start: number,
  { channels, height, width }: ImageShape,
): void {
  const plane = height * width;
  for (let channel = 0, i = 0; channel < channels; channel++) {
    const table = tables[channel]!;
    for (const end = i + plane; i < end; i++) out[offset + i] = table[image[start + i]!]!;
  }
}

/** Draws 0, 1 and 2 of the key: where the crop begins in the padded image, column and row, and whether it is mirrored. */
function writeCropped<T extends Float32Array | Uint8Array>(
  tables: Tables<T>,
  out: T,
  offset: number,
  image: Uint8Array,
  start: number,
  shape: ImageShape,
  key: Key,
): void {
  const shift = (index: number): number => Math.floor(uniformAt(key, index) * (2 * padding + 1)) - padding;
  writeShifted(tables, out, offset, image, start, shape, shift(0), shift(1), uniformAt(key, 2) < 0.5);
}

/** out[row][column] = image[row + dy][column + dx], of the mirrored image if `flip`; black outside. */
function writeShifted<T extends Float32Array | Uint8Array>(
  tables: Tables<T>,
  out: T,
  offset: number,
  image: Uint8Array,
  start: number,
  { channels, height, width }: ImageShape,
  dx: number,
  dy: number,
  flip: boolean,
): void {
  const first = Math.min(width, Math.max(0, -dx));
  const end = Math.max(0, Math.min(width, width - dx));
  for (let channel = 0; channel < channels; channel++) {
    const table = tables[channel]!;
    const black = table[0]!;
    for (let row = 0; row < height; row++) {
      const target = offset + (channel * height + row) * width;
      const source = row + dy;
      if (source < 0 || source >= height) {
        out.fill(black, target, target + width);
        continue;
      }
      const line = start + (channel * height + source) * width;
      out.fill(black, target, target + first).fill(black, target + end, target + width);
      if (flip) for (let column = first; column < end; column++) out[target + column] = table[image[line + width - 1 - column - dx]!]!;
      else for (let column = first; column < end; column++) out[target + column] = table[image[line + column + dx]!]!;
    }
  }
}
