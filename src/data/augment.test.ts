import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fold, key } from "../random.ts";
import { imageWriter } from "./augment.ts";
import { type Augmentation, augmentationPlan } from "./augmentation.ts";
import type { ImageSplit } from "./dataset.ts";
import { createCanvas } from "./imageOperations.ts";
import { operations, randAugment } from "./randAugment.ts";

const [height, width] = [10, 12];
/** One picture without black whose pixels all differ. */
const image = Uint8Array.from({ length: height * width }, (_, i) => 1 + i);
const split: ImageSplit = { images: image, labels: Int32Array.of(0), count: 1, channels: 1, height, width };

function augmented(augmentation: Augmentation, seed: number): number[] {
  const out = new Float32Array(image.length + 2).fill(-7);
  imageWriter(split, augmentation, { mean: [0], std: [1 / 255] })(out, 1, 0, fold(key(0), seed));
  expect([out[0], out.at(-1)]).toEqual([-7, -7]);
  return [...out.subarray(1, -1)].map(Math.round);
}

/** Every picture that a crop with padding 4 and a mirroring can make. */
const crops = new Map<string, string>();
for (const flip of [false, true]) {
  for (let dy = -4; dy <= 4; dy++) {
    for (let dx = -4; dx <= 4; dx++) {
      const pixels = Array.from(image, (_, i) => {
        const [y, x] = [Math.floor(i / width) + dy, (i % width) + dx];
        const inside = y >= 0 && y < height && x >= 0 && x < width;
        return inside ? image[y * width + (flip ? width - 1 - x : x)]! : 0;
      });
      crops.set(String(pixels), `${flip} ${dy} ${dx}`);
    }
  }
}

test("flip-crop makes the crops out of 4 pixels of black padding, mirrored or not, each about as often", () => {
  const draws = 8100;
  const counts = new Map<string, number>();
  for (let seed = 0; seed < draws; seed++) {
    const crop = crops.get(String(augmented("flip-crop", seed)));
    expect(crop).toBeDefined();
    counts.set(crop!, (counts.get(crop!) ?? 0) + 1);
  }
  // Chi-squared with 161 degrees of freedom: mean 161, standard deviation 18.
  const expected = draws / crops.size;
  const chiSquared = [...crops.values()].reduce((sum, crop) => sum + ((counts.get(crop) ?? 0) - expected) ** 2 / expected, 0);
  expect(chiSquared).toBeLessThan(161 + 5 * 18);
});

test("images narrower than the padding come out whole or black, never from a neighbour's pixels", () => {
  const tiny: ImageSplit = {
    images: Uint8Array.of(50, 60, 70, 80, 90, 100),
    labels: new Int32Array(3),
    count: 3,
    channels: 1,
    height: 2,
    width: 1,
  };
  const write = imageWriter(tiny, "flip-crop", { mean: [0], std: [1 / 255] });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
      const out = new Float32Array(2);
      write(out, 0, 1, fold(key(1), seed));
      for (const value of out) expect([0, 70, 80]).toContain(Math.round(value));
    }),
  );
});

test("RandAugment works on the cropped and mirrored picture and depends on the key alone", () => {
  const write = imageWriter(split, "randaugment", { mean: [0], std: [1] });
  const draw = (seed: number): Float32Array => {
    const out = new Float32Array(image.length);
    write(out, 0, 0, fold(key(0), seed));
    return out;
  };
  const first = Array.from({ length: 50 }, (_, seed) => draw(seed));
  for (const seed of [49, 3, 20, 0]) expect(draw(seed)).toEqual(first[seed]);
  const untouched = first.filter((_, seed) => crops.has(String(augmented("randaugment", seed))));
  expect(untouched.length).toBeGreaterThan(0); // identity and what changes nothing in grey
  expect(untouched.length).toBeLessThan(25);
});

test("RandAugment draws each operation, and each sign of the signed ones, about equally often", () => {
  const applied = operations.map(() => ({ count: 0, negative: 0 }));
  const from = operations.map((operation, i) => ({
    ...operation,
    apply: (_: unknown, amount: number) => {
      applied[i]!.count++;
      if (amount < 0) applied[i]!.negative++;
    },
  }));
  const canvas = createCanvas({ channels: 3, height: 4, width: 4 });
  for (let seed = 0; seed < 7000; seed++) randAugment(canvas, fold(key(2), seed), { from });
  // 14,000 draws: 1000 of each, standard deviation 30; half of them negative, standard deviation 16.
  for (const [i, { count, negative }] of applied.entries()) {
    expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(Math.abs(negative - (operations[i]!.isSigned ? count / 2 : 0))).toBeLessThan(80);
  }
});

describe("a list of augmentations", () => {
  test.each<[Augmentation, object]>([
    ["none", { flip: false, crop: 0 }],
    ["flip-crop", { flip: true, crop: 4 }],
    ["randaugment", { flip: true, crop: 4, randAugment: { numOperations: 2, magnitude: 9 } }],
    ["flip,crop:2,randaugment:3,12,cutout:8", { flip: true, crop: 2, randAugment: { numOperations: 3, magnitude: 12 }, cutout: 8 }],
    [["mixup:0.2", "label-smoothing:0.1", "crop"], { mixup: 0.2, labelSmoothing: 0.1, crop: 4 }],
  ])("%j", (augmentation, plan) => expect(augmentationPlan(augmentation)).toMatchObject(plan));

  test.each([
    ["flop", /"flop": there is no such one\. Known: none; flip; crop:PIXELS/],
    ["flip,flip", /"flip": it is given twice/],
    ["crop:0", /"crop:0": expected is crop:PIXELS/],
    ["crop:1.5", /expected is crop/],
    ["randaugment:2,40", /expected is randaugment:OPERATIONS,MAGNITUDE/],
    ["mixup", /expected is mixup:ALPHA/],
    ["mixup:-1", /expected is mixup:ALPHA/],
    ["label-smoothing:1", /expected is label-smoothing:SHARE/],
    ["constructor", /there is no such one/],
    ["cutout:", /expected is cutout:PIXELS/],
    ["", /there is no such one/],
  ])("%j is refused", (augmentation, message) => expect(() => augmentationPlan(augmentation)).toThrow(message));

  test("cutout sets a square to the mean, its middle anywhere, and leaves all else alone", () => {
    const sides = new Set<number>();
    for (let seed = 0; seed < 300; seed++) {
      const pixels = augmented("cutout:4", seed);
      const cut = pixels.flatMap((value, i) => (value === 0 ? [i] : []));
      const [rows, columns] = [new Set(cut.map((i) => Math.floor(i / width))), new Set(cut.map((i) => i % width))];
      expect(cut).toHaveLength(rows.size * columns.size);
      expect(Math.max(rows.size, columns.size)).toBeLessThanOrEqual(4);
      expect(pixels.every((value, i) => value === 0 || value === image[i])).toBe(true);
      sides.add(cut.length);
    }
    expect(Math.max(...sides)).toBe(16);
    expect(Math.min(...sides)).toBe(4); // half of it outside, twice
  });
});
