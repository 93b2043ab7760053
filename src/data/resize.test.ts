import fc from "fast-check";
import { expect, test } from "vitest";
import { type PlanarImage, resizeAndCrop } from "./resize.ts";

const image = (height: number, width: number, pixel: (y: number, x: number) => number, channels = 1): PlanarImage => ({
  channels,
  height,
  width,
  pixels: Uint8Array.from({ length: channels * height * width }, (_, i) => pixel(Math.floor(i / width) % height, i % width)),
});

// Pillow 10: Image.fromarray(uint8 [[0, 255, 0, 255], …]).resize((2, 2), Resampling.BILINEAR): shares 3/8, 3/8, 1/8 … of the triangle
test("shrinking by two weighs four pixels 1 : 3 : 3 : 1, and those that are there at the border", () => {
  const { pixels } = resizeAndCrop(
    image(4, 4, (_, x) => [0, 80, 160, 240][x]!),
    2,
  );
  const left = (3 * 0 + 3 * 80 + 1 * 160) / 7;
  const right = (1 * 80 + 3 * 160 + 3 * 240) / 7;
  expect([...pixels]).toEqual([Math.round(left), Math.round(right), Math.round(left), Math.round(right)]);
});

test("growing by two interpolates between the centres of pixels", () => {
  const { pixels } = resizeAndCrop(
    image(2, 2, (_, x) => [100, 200][x]!),
    4,
  );
  expect([...pixels.subarray(0, 4)]).toEqual([100, 125, 175, 200]);
});

test("an image of the size is itself, one colour stays, and the values stay within their range", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 0, max: 255 }),
      fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 7, maxLength: 7 }),
      (height, width, side, grey, values) => {
        const flat = resizeAndCrop(
          image(height, width, () => grey, 3),
          side,
        );
        expect([flat.height, flat.width, flat.pixels.length]).toEqual([side, side, 3 * side * side]);
        expect(new Set(flat.pixels)).toEqual(new Set([grey]));
        const any = image(height, width, (y, x) => values[(y * 3 + x) % 7]!);
        const { pixels } = resizeAndCrop(any, side);
        expect(Math.min(...pixels)).toBeGreaterThanOrEqual(Math.min(...any.pixels));
        expect(Math.max(...pixels)).toBeLessThanOrEqual(Math.max(...any.pixels));
        if (height === side && width === side) expect(pixels).toEqual(any.pixels);
      },
    ),
  );
});

test("the middle of the long side is kept, and channels do not mix", () => {
  const wide = image(2, 6, (_, x) => 40 * x, 1);
  const { pixels } = resizeAndCrop({ ...wide, channels: 2, pixels: Uint8Array.of(...wide.pixels, ...wide.pixels.map((x) => 255 - x)) }, 2);
  expect([...pixels]).toEqual([80, 120, 80, 120, 175, 135, 175, 135]);
});
