import { fold, key } from "../random.ts";
import type { Normalisation } from "./augment.ts";
import type { Augmentation } from "./augmentation.ts";
import { encodePngGrid } from "./contactSheet.ts";
import type { ImageDataset } from "./dataset.ts";
import { sampleWriter } from "./samples.ts";

const [rows, columns] = [8, 10];

/**
 * A sheet of what an augmentation makes: in each row an image as it is, then nine draws of it.
 *
 * @returns a PNG; undefined for data that are no pixels.
 */
export function augmentationSheet({ train, numClasses, mean }: ImageDataset, augmentation: Augmentation, seed = 0): Uint8Array | undefined {
  if (train.images instanceof Float32Array) return undefined;
  const { channels, height, width, count } = train;
  const centred: Normalisation = { mean, std: mean.map(() => 1) };
  const [asIs, augmented] = ["none", augmentation].map((one) => sampleWriter(train, one as Augmentation, { ...centred, numClasses }));
  const pixels = channels * height * width;
  const shown = Math.min(rows, count);
  const out = new Float32Array(shown * columns * pixels);
  for (let row = 0; row < shown; row++)
    for (let column = 0; column < columns; column++) {
      const item = (Math.floor((row * count) / shown) + row) % count; // classes may come in turn
      const write = column === 0 ? asIs! : augmented!;
      write(out, (row * columns + column) * pixels, item, fold(fold(key(seed), item), column));
    }
  const plane = height * width;
  const bytes = Uint8Array.from(out, (value, i) => {
    const pixel = value + mean[Math.floor(i / plane) % channels]!;
    return Math.round(255 * Math.min(1, Math.max(0, pixel)));
  });
  const scale = Math.max(1, Math.round(64 / Math.max(height, width)));
  return encodePngGrid(bytes, { count: shown * columns, channels, height, width, columns, scale });
}
