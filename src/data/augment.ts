import { fold, type Key, uniformAt } from "../random.ts";

/** What training does to images: nothing, or a random crop with 4 pixels of zero padding and a horizontal flip half of the time. */
export type Augmentation = "none" | "flip-crop";

export const augmentations: readonly Augmentation[] = ["none", "flip-crop"];

const padding = 4;

export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** byte -> normalised value for each channel: (byte/255 − mean)/std. */
export function normalisationTables(mean: readonly number[], std: readonly number[]): readonly Float32Array[] {
  return mean.map((m, channel) => Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - m) / std[channel]!));
}

/** Writes one image, augmented and normalised, into `out` at `offset`. A pure function of the image and `key`. */
export function writeImage(out: Float32Array, offset: number, image: Uint8Array, shape: ImageShape, tables: readonly Float32Array[], augmentation: Augmentation, key: Key): void {
  if (augmentation === "none") writeShifted(out, offset, image, shape, tables, 0, 0, false);
  else {
    const shift = (index: number): number => Math.floor(uniformAt(key, index) * (2 * padding + 1)) - padding;
    writeShifted(out, offset, image, shape, tables, shift(0), shift(1), uniformAt(key, 2) < 0.5);
  }
}

/** out[row][column] = image[row + dy][column + dx], mirrored first if `flip`; black outside. */
function writeShifted(out: Float32Array, offset: number, image: Uint8Array, { channels, height, width }: ImageShape, tables: readonly Float32Array[], dx: number, dy: number, flip: boolean): void {
  const [first, end] = [Math.max(0, -dx), Math.min(width, width - dx)];
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
      const line = (channel * height + source) * width;
      out.fill(black, target, target + first).fill(black, target + end, target + width);
      if (flip) for (let column = first; column < end; column++) out[target + column] = table[image[line + width - 1 - column - dx]!]!;
      else for (let column = first; column < end; column++) out[target + column] = table[image[line + column + dx]!]!;
    }
  }
}

/** The key of one item's augmentation in one epoch. */
export function itemKey(epochKey: Key, item: number): Key {
  return fold(epochKey, item);
}
