import { DataError } from "../errors.ts";
import { fold, type Key, uniformAt } from "../random.ts";
import { type Augmentation, type AugmentationPlan, augmentationPlan } from "./augmentation.ts";
import type { ImageShape, ImageSplit } from "./dataset.ts";
import { createCanvas } from "./imageOperations.ts";
import { randAugment } from "./randAugment.ts";

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

/**
 * The way of a split's images into batches: mirroring and crop, RandAugment, cutout, of an augmentation. The result depends on the image
 * and the key alone; memory for the work is taken once, here.
 *
 * @throws {DataError} if mean or std do not have one value for each channel, or RandAugment is asked for images that
 *   are neither grey nor RGB. {UsageError} if the augmentation is none.
 */
export function imageWriter(split: ImageSplit, augmentation: Augmentation, normalisation: Normalisation): ImageWriter {
  const { images, channels, height, width } = split;
  const plan = augmentationPlan(augmentation);
  checkNormalisation(channels, normalisation);
  const write =
    images instanceof Float32Array ? numberWriter(images, split, plan, normalisation) : pixelWriter(images, split, plan, normalisation);
  if (plan.cutout === 0) return write;
  return (out, offset, item, key) => {
    write(out, offset, item, key);
    cutOut(out, offset, split, plan.cutout, fold(key, "cutout"));
  };

  function cutOut(out: Float32Array, offset: number, shape: ImageShape, side: number, key: Key): void {
    const start = (index: number, size: number): number => Math.floor(uniformAt(key, index) * size) - Math.floor(side / 2);
    const [top, left] = [start(0, height), start(1, width)];
    const [right, bottom] = [Math.min(width, left + side), Math.min(height, top + side)];
    for (let channel = 0; channel < shape.channels; channel++)
      for (let row = Math.max(0, top); row < bottom; row++) {
        const line = offset + (channel * height + row) * width;
        out.fill(0, line + Math.max(0, left), line + right); // the mean
      }
  }
}

function pixelWriter(images: Uint8Array, split: ImageSplit, plan: AugmentationPlan, normalisation: Normalisation): ImageWriter {
  const { channels, height, width } = split;
  const pixels = channels * height * width;
  const tables = normalisationTables(normalisation);
  const { flip, crop, randAugment: rand } = plan;
  if (rand !== undefined) {
    if (channels !== 1 && channels !== 3) {
      const message = `RandAugment knows grey and RGB images; these have ${channels} channels. Choose --augment flip,crop:4, or none.`;
      throw new DataError("badChannels", { channels }, message);
    }
    const canvas = createCanvas(split);
    const bytes = Array<Uint8Array>(channels).fill(Uint8Array.from({ length: 256 }, (_, byte) => byte));
    return (out, offset, item, key) => {
      writeCropped(bytes, canvas.pixels, 0, images, item * pixels, split, plan, key);
      randAugment(canvas, key, rand);
      writeThrough(tables, out, offset, canvas.pixels, 0, split);
    };
  }
  if (!flip && crop === 0) return (out, offset, item) => writeThrough(tables, out, offset, images, item * pixels, split);
  return (out, offset, item, key) => writeCropped(tables, out, offset, images, item * pixels, split, plan, key);
}

/** Numbers are not pixels: of what changes an image they allow the mirroring at most. */
function numberWriter(
  numbers: Float32Array,
  { channels, height, width }: ImageShape,
  { flip: mirrors, crop, randAugment: rand, cutout }: AugmentationPlan,
  { mean, std }: Normalisation,
): ImageWriter {
  if (crop > 0 || rand !== undefined || cutout > 0) {
    const message = "The augmentations crop, randaugment and cutout are for pixels, and these are numbers. Choose --augment none or flip.";
    throw new DataError("latentAugmentation", {}, message);
  }
  const pixels = channels * height * width;
  return (out, offset, item, key) => {
    const flip = mirrors && uniformAt(key, flipDraw) < 0.5;
    for (let channel = 0, i = 0; channel < channels; channel++) {
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++, i++) {
          const from = flip ? i + width - 1 - 2 * column : i;
          out[offset + i] = (numbers[item * pixels + from]! - mean[channel]!) / std[channel]!;
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

/** Draws 0 and 1 of a key: where the crop begins in the padded image, column and row. */
const flipDraw = 2;

function writeCropped<T extends Float32Array | Uint8Array>(
  tables: Tables<T>,
  out: T,
  offset: number,
  image: Uint8Array,
  start: number,
  shape: ImageShape,
  { crop, flip }: AugmentationPlan,
  key: Key,
): void {
  const shift = (index: number): number => (crop === 0 ? 0 : Math.floor(uniformAt(key, index) * (2 * crop + 1)) - crop);
  writeShifted(tables, out, offset, image, start, shape, shift(0), shift(1), flip && uniformAt(key, flipDraw) < 0.5);
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
