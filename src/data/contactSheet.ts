import { encode } from "fast-png";

export interface ContactSheet {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Images in a row. */
  readonly columns: number;
  /** Each pixel becomes a square of this side. */
  readonly scale: number;
  /** White pixels between images and around them: 2 by default. */
  readonly gap?: number;
}

/** A picture as a PNG encoder takes it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB, row by row. */
  readonly data: Uint8Array;
}

/** A PNG of images [count, channels, height, width] side by side, row by row, on white. Grey images stay grey. */
export function encodePngGrid(images: Uint8Array, sheet: ContactSheet): Uint8Array {
  return encode({ ...drawGrid(images, sheet), channels: 3, depth: 8 });
}

/** The picture of {@link encodePngGrid}. */
export function drawGrid(images: Uint8Array, { count, channels, height, width, columns, scale, gap = 2 }: ContactSheet): Picture {
  const rows = Math.ceil(count / columns);
  const sheetWidth = columns * (width * scale + gap) + gap;
  const sheetHeight = rows * (height * scale + gap) + gap;
  const data = new Uint8Array(sheetWidth * sheetHeight * 3).fill(255);
  const plane = height * width;
  for (let item = 0; item < count; item++) {
    const left = gap + (item % columns) * (width * scale + gap);
    const top = gap + Math.floor(item / columns) * (height * scale + gap);
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        const pixel = Math.floor(y / scale) * width + Math.floor(x / scale);
        for (let c = 0; c < 3; c++)
          data[((top + y) * sheetWidth + left + x) * 3 + c] = images[(item * channels + Math.min(c, channels - 1)) * plane + pixel]!;
      }
    }
  }
  return { width: sheetWidth, height: sheetHeight, data };
}

/** [−1, 1] to bytes; what lies outside is cut off. */
export function imageBytes(images: Float32Array): Uint8Array {
  return Uint8Array.from(images, (x) => Math.round(255 * Math.min(1, Math.max(0, (x + 1) / 2))));
}
