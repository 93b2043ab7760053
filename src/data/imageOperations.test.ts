import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { createCanvas } from "./imageOperations.ts";
import { operations } from "./randAugment.ts";

const size = 32;

/** A picture with slopes and fine structure that does not reach black or white. */
function drawn(channels: 1 | 3): Uint8Array {
  const pixels = new Uint8Array(channels * size * size);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++, at++) {
        const v = (x * 7 + y * 13 * (c + 1) + ((x * y * (c + 3)) ^ (x << 2))) & 255;
        pixels[at] = 30 + Math.floor((v * 180) / 255);
      }
    }
  }
  return pixels;
}

function applied(name: string, sign: 1 | -1, channels: 1 | 3, magnitude = 9): Uint8Array {
  const canvas = createCanvas({ channels, height: size, width: size });
  canvas.pixels.set(drawn(channels));
  const operation = operations.find((one) => one.name === name)!;
  operation.apply(canvas, sign * operation.amount(magnitude / 30, canvas));
  return canvas.pixels;
}

const digest = (pixels: Uint8Array): string => createHash("sha256").update(pixels).digest("hex").slice(0, 12);

// Pillow 12.3.0 on the same picture, amounts of torchvision's RandAugment at magnitude 9: SHA-256 of the planes, RGB and grey.
//   shears, translations: im.transform(im.size, AFFINE, (1, ±0.09, 0, 0, 1, 0) and the like, NEAREST); rotate: im.rotate(±9, NEAREST)
//   ImageEnhance.{Brightness,Color,Contrast,Sharpness}(im).enhance(1 ± 0.27); ImageOps.posterize(im, 7), solarize(im,
// 178.5), autocontrast, equalize
const pillow: readonly [name: string, sign: 1 | -1, rgb: string, grey: string][] = [
  ["identity", 1, "9119ed141fdd", "0b93cff93a4c"],
  ["shearX", 1, "de409c3cfd46", "58a3dc8c46b1"],
  ["shearX", -1, "466e853f8aba", "d6fe55e6791c"],
  ["shearY", 1, "c0fab2c2d99d", "fb8628db1a93"],
  ["shearY", -1, "f229a0ad4e13", "d28ac5b9333e"],
  ["translateX", 1, "7a3eaabfb3ab", "0a6c165e715d"],
  ["translateX", -1, "378355525dea", "dd6aafe36e16"],
  ["translateY", 1, "6cb032310716", "2d25d5ff1527"],
  ["translateY", -1, "921278a2a2a4", "1aa0e6a7bfe9"],
  ["rotate", 1, "ad4b0b9bbf7f", "52189786ebba"],
  ["rotate", -1, "3d6b38730d83", "21be398cc1ce"],
  ["brightness", 1, "d60a6574394c", "4e9cdddf916d"],
  ["brightness", -1, "bc848cd82db0", "249b3c059bf4"],
  ["colour", 1, "f0ab786bfdcc", "0b93cff93a4c"],
  ["colour", -1, "9e046475ff59", "0b93cff93a4c"],
  ["contrast", 1, "c5d6c55bdd56", "bd2479016af8"],
  ["contrast", -1, "de30a680c88e", "68d4722f8384"],
  ["sharpness", 1, "071c2166e933", "e0ac8dd82490"],
  ["sharpness", -1, "fdffb40adaab", "d0fe3ece247a"],
  ["posterize", 1, "ddfc5dedc658", "c490c967754e"],
  ["solarize", 1, "4dd1f420472b", "9c6fecc8f5f1"],
  ["autoContrast", 1, "a1fbfaeb37d0", "84bc6eb0c3a2"],
  ["equalize", 1, "5e2d665cf12a", "bc4dd4d6bd1c"],
];

test.each(pillow)("%s (%i) gives Pillow's bytes", (name, sign, rgb, grey) => {
  expect([digest(applied(name, sign, 3)), digest(applied(name, sign, 1))]).toEqual([rgb, grey]);
});

test.each(operations.filter(({ isSigned }) => isSigned).map(({ name }) => name))("%s of strength 0 leaves the image as it is", (name) => {
  expect(applied(name, 1, 3, 0)).toEqual(drawn(3));
});

test.each(["autoContrast", "equalize"])("%s leaves an image of one colour as it is", (name) => {
  const canvas = createCanvas({ channels: 3, height: 4, width: 4 });
  canvas.pixels.fill(77);
  operations.find((operation) => operation.name === name)!.apply(canvas, 0);
  expect([...new Set(canvas.pixels)]).toEqual([77]);
});
