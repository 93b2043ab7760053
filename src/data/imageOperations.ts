import type { ImageShape } from "./dataset.ts";

/**
 * The image operations that RandAugment draws from, on 8-bit planar images, to the bit as Pillow computes them: torchvision works on
 * Pillow images at this place. Each changes `canvas.pixels`; pixels that come from outside are black.
 */
export interface Canvas extends ImageShape {
  /** [channels, height, width], one or three channels. */
  pixels: Uint8Array;
  /** Where operations that read neighbours write to; then the two change places. */
  spare: Uint8Array;
  readonly histogram: Uint32Array;
  /** byte -> byte */
  readonly table: Uint8Array;
}

/** The memory for one image and the work on it. */
export function createCanvas({ channels, height, width }: ImageShape): Canvas {
  const pixels = channels * height * width;
  return {
    channels,
    height,
    width,
    pixels: new Uint8Array(pixels),
    spare: new Uint8Array(pixels),
    histogram: new Uint32Array(256),
    table: new Uint8Array(256),
  };
}

/** out[y][x] = in[y][x + slope*y]. */
export function shearX(canvas: Canvas, slope: number): void {
  affine(canvas, 1, slope, 0, 0, 1, 0);
}

/** out[y][x] = in[y + slope*x][x]. */
export function shearY(canvas: Canvas, slope: number): void {
  affine(canvas, 1, 0, 0, slope, 1, 0);
}

/** Moves the image to the right by a number of pixels, of which the fraction is dropped. */
export function translateX(canvas: Canvas, columns: number): void {
  affine(canvas, 1, 0, -Math.trunc(columns), 0, 1, 0);
}

/** Moves the image down by a number of pixels, of which the fraction is dropped. */
export function translateY(canvas: Canvas, rows: number): void {
  affine(canvas, 1, 0, 0, 0, 1, -Math.trunc(rows));
}

/** Turns the image about its centre, counter-clockwise. */
export function rotate(canvas: Canvas, degrees: number): void {
  const angle = (-degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [cx, cy] = [canvas.width / 2, canvas.height / 2];
  affine(canvas, cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy);
}

/**
 * out(x, y) = in(a*x + b*y + c, d*x + e*y + f), nearest pixel, in coordinates of 16 fractional bits (Pillow,
 * Geometry.c, affine_fixed).
 */
function affine(canvas: Canvas, a: number, b: number, c: number, d: number, e: number, f: number): void {
  const { pixels, spare, channels, height, width } = canvas;
  const fixed = (value: number): number => Math.floor(value * 65536 + 0.5);
  const [stepX, stepY] = [fixed(a), fixed(d)];
  const plane = height * width;
  for (let y = 0, target = 0; y < height; y++) {
    let sourceX = fixed(c + a * 0.5 + b * 0.5) + y * fixed(b);
    let sourceY = fixed(f + d * 0.5 + e * 0.5) + y * fixed(e);
    for (let x = 0; x < width; x++, target++, sourceX += stepX, sourceY += stepY) {
      const column = sourceX >> 16;
      const row = sourceY >> 16;
      const inside = column >= 0 && column < width && row >= 0 && row < height;
      const source = row * width + column;
      for (let channel = 0; channel < channels; channel++) spare[target + channel * plane] = inside ? pixels[source + channel * plane]! : 0;
    }
  }
  canvas.pixels = spare;
  canvas.spare = pixels;
}

/** 0 is black, 1 the image, above 1 brighter. */
export function brightness(canvas: Canvas, factor: number): void {
  const alpha = Math.fround(factor);
  for (let byte = 0; byte < 256; byte++) canvas.table[byte] = blend(0, byte, alpha);
  applyTable(canvas, 0, canvas.pixels.length);
}

/** 0 is the mean grey of the image, 1 the image. */
export function contrast(canvas: Canvas, factor: number): void {
  const plane = canvas.height * canvas.width;
  let sum = 0;
  for (let i = 0; i < plane; i++) sum += luminance(canvas, i);
  const grey = Math.floor(sum / plane + 0.5);
  const alpha = Math.fround(factor);
  for (let byte = 0; byte < 256; byte++) canvas.table[byte] = blend(grey, byte, alpha);
  applyTable(canvas, 0, canvas.pixels.length);
}

/** 0 is the image in grey, 1 the image. */
export function colour(canvas: Canvas, factor: number): void {
  const { pixels, channels, height, width } = canvas;
  const plane = height * width;
  const alpha = Math.fround(factor);
  for (let i = 0; i < plane; i++) {
    const grey = luminance(canvas, i);
    for (let at = i; at < channels * plane; at += plane) pixels[at] = blend(grey, pixels[at]!, alpha);
  }
}

/** 0 is the image smoothed by [1 1 1; 1 5 1; 1 1 1]/13, 1 the image. The outermost pixels stay as they are. */
export function sharpness(canvas: Canvas, factor: number): void {
  const { pixels, spare, channels, height, width } = canvas;
  const alpha = Math.fround(factor);
  spare.set(pixels);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 1; y < height - 1; y++) {
      const line = (channel * height + y) * width;
      for (let at = line + 1; at < line + width - 1; at++) {
        const above = pixels[at - width - 1]! + pixels[at - width]! + pixels[at - width + 1]!;
        const beside = pixels[at - 1]! + 5 * pixels[at]! + pixels[at + 1]!;
        const below = pixels[at + width - 1]! + pixels[at + width]! + pixels[at + width + 1]!;
        const smooth = Math.floor((2 * (above + beside + below) + 13) / 26); // rounded to the nearest; a tie is impossible
        spare[at] = blend(smooth, pixels[at]!, alpha);
      }
    }
  }
  canvas.pixels = spare;
  canvas.spare = pixels;
}

/** Keeps the highest `bits` bits of each byte. */
export function posterize(canvas: Canvas, bits: number): void {
  const mask = 256 - 2 ** (8 - bits);
  for (let byte = 0; byte < 256; byte++) canvas.table[byte] = byte & mask;
  applyTable(canvas, 0, canvas.pixels.length);
}

/** Inverts the bytes from `threshold` upwards. */
export function solarize(canvas: Canvas, threshold: number): void {
  for (let byte = 0; byte < 256; byte++) canvas.table[byte] = byte < threshold ? byte : 255 - byte;
  applyTable(canvas, 0, canvas.pixels.length);
}

/** Stretches each channel's bytes over the whole range. */
export function autoContrast(canvas: Canvas): void {
  const { histogram, table } = canvas;
  forEachChannel(canvas, () => {
    const low = histogram.findIndex((n) => n > 0);
    const high = histogram.findLastIndex((n) => n > 0);
    if (high <= low) return false;
    const scale = 255 / (high - low);
    const offset = -low * scale;
    for (let byte = low; byte <= high; byte++) table[byte] = Math.min(255, Math.trunc(byte * scale + offset));
    return true;
  });
}

/** Spreads each channel's bytes so that their histogram becomes as flat as it can. */
export function equalize(canvas: Canvas): void {
  const { histogram, table } = canvas;
  const plane = canvas.height * canvas.width;
  forEachChannel(canvas, () => {
    const step = Math.floor((plane - histogram[histogram.findLastIndex((n) => n > 0)]!) / 255);
    if (step === 0) return false;
    for (let byte = 0, n = step >> 1; byte < 256; n += histogram[byte]!, byte++) table[byte] = Math.min(255, Math.floor(n / step));
    return true;
  });
}

/** Counts the bytes of each channel, has the table made from them, and applies it unless there is nothing to do. */
function forEachChannel(canvas: Canvas, makeTable: () => boolean): void {
  const { pixels, histogram } = canvas;
  const plane = canvas.height * canvas.width;
  for (let start = 0; start < pixels.length; start += plane) {
    histogram.fill(0);
    for (let at = start; at < start + plane; at++) histogram[pixels[at]!]!++;
    if (makeTable()) applyTable(canvas, start, start + plane);
  }
}

function applyTable({ pixels, table }: Canvas, start: number, end: number): void {
  for (let at = start; at < end; at++) pixels[at] = table[pixels[at]!]!;
}

/** ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B, in 16 fractional bits. */
function luminance({ pixels, channels, height, width }: Canvas, pixel: number): number {
  if (channels === 1) return pixels[pixel]!;
  const plane = height * width;
  return (19595 * pixels[pixel]! + 38470 * pixels[pixel + plane]! + 7471 * pixels[pixel + 2 * plane]! + 0x8000) >> 16;
}

/** from + alpha*(to - from) in single precision, cut to a byte (Pillow, Blend.c). */
function blend(from: number, to: number, alpha: number): number {
  const mixed = Math.fround(from + Math.fround(alpha * (to - from)));
  return mixed <= 0 ? 0 : mixed >= 255 ? 255 : Math.trunc(mixed);
}
