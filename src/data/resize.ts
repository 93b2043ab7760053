import type { ImageShape } from "./dataset.ts";

/** Planar bytes, [channels, height, width]. */
export interface PlanarImage extends ImageShape {
  readonly pixels: Uint8Array;
}

/**
 * Scales an image so that its short side has `side` pixels, and crops the middle of the long one.
 *
 * Scaling is by a triangle whose width follows the factor (antialiased when it shrinks), first along rows, then
 * along columns, each rounded to bytes: Pillow's `resize(…, Resampling.BILINEAR)`. The crop begins at round((long −
 * side)/2), as torchvision's `CenterCrop`.
 *
 * @returns [channels, side, side]
 */
export function resizeAndCrop(image: PlanarImage, side: number): PlanarImage {
  const { height, width } = image;
  const short = Math.min(height, width);
  const scaled = (extent: number): number => (extent === short ? side : Math.floor((side * extent) / short));
  const columns = scaleAxis(image, "width", scaled(width));
  return cropped(scaleAxis(columns, "height", scaled(height)), side);
}

function scaleAxis(image: PlanarImage, axis: "width" | "height", target: number): PlanarImage {
  const extent = image[axis];
  if (extent === target) return image;
  const { channels, pixels } = image;
  const shape = { channels, height: image.height, width: image.width, [axis]: target };
  const out = new Uint8Array(channels * shape.height * shape.width);
  const weights = triangleWeights(extent, target);
  // Along rows neighbours are next to each other; along columns they are a row apart.
  const [stride, lines] = axis === "width" ? [1, channels * image.height] : [image.width, channels * image.width];
  for (let line = 0; line < lines; line++) {
    const from = axis === "width" ? line * extent : Math.floor(line / stride) * extent * stride + (line % stride);
    const to = axis === "width" ? line * target : Math.floor(line / stride) * target * stride + (line % stride);
    for (const [i, { first, shares }] of weights.entries()) {
      let sum = 0.5;
      for (let k = 0; k < shares.length; k++) sum += shares[k]! * pixels[from + (first + k) * stride]!;
      out[to + i * stride] = sum;
    }
  }
  return { ...shape, pixels: out };
}

/** Of each target pixel, the source pixels under its triangle and their shares. */
function triangleWeights(extent: number, target: number): readonly { readonly first: number; readonly shares: readonly number[] }[] {
  const scale = extent / target;
  const support = Math.max(1, scale);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(extent, Math.floor(centre + support + 0.5));
    const heights = Array.from({ length: end - first }, (__, k) => Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / support)));
    const total = heights.reduce((sum, height) => sum + height, 0);
    return { first, shares: heights.map((height) => height / total) };
  });
}

function cropped({ channels, height, width, pixels }: PlanarImage, side: number): PlanarImage {
  const [top, left] = [Math.round((height - side) / 2), Math.round((width - side) / 2)];
  const out = new Uint8Array(channels * side * side);
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < side; y++) {
      const from = (channel * height + top + y) * width + left;
      out.set(pixels.subarray(from, from + side), (channel * side + y) * side);
    }
  return { channels, height: side, width: side, pixels: out };
}
