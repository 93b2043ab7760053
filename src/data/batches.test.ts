import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError } from "../errors.ts";
import { type TrainBatchOptions, testBatches, trainBatches } from "./batches.ts";
import type { ImageSplit } from "./dataset.ts";

/** Images that carry their number in every pixel. */
function numbered(count: number, channels = 1, size = 3): ImageSplit {
  const pixels = channels * size * size;
  const images = Uint8Array.from({ length: count * pixels }, (_, i) => Math.floor(i / pixels));
  return { images, labels: Int32Array.from({ length: count }, (_, item) => item % 7), count, channels, height: size, width: size };
}

const options = (more: Partial<TrainBatchOptions> = {}): TrainBatchOptions => ({
  batchSize: 4,
  seed: 0,
  augmentation: "none",
  mean: [0],
  std: [1 / 255],
  ...more,
});

/** The numbers of the images in a batch of `numbered`, and whether their labels are theirs. */
function items({ images, labels }: { images: Float32Array; labels: Int32Array }): number[] {
  const pixels = images.length / labels.length;
  return Array.from(labels, (label, i) => {
    const item = Math.round(images[i * pixels]!);
    expect(label).toBe(item % 7);
    return item;
  });
}

describe("training batches", () => {
  test("an epoch shows every item at most once and leaves out fewer than a batch", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer(),
        (count, size, epoch, seed) => {
          const batchSize = Math.min(size, count);
          const { stepsPerEpoch, at } = trainBatches(numbered(count), options({ batchSize, seed }));
          const shown = Array.from({ length: stepsPerEpoch }, (_, step) => items(at(epoch * stepsPerEpoch + step))).flat();
          expect(new Set(shown).size).toBe(shown.length);
          expect(count - shown.length).toBeLessThan(batchSize);
        },
      ),
    );
  });

  test.each(["none", "flip", "flip-crop", "randaugment", "flip,crop:2,cutout:3", "mixup:0.3,label-smoothing:0.5"])(
    "a batch depends on seed and step alone, not on what was drawn before: %s",
    (augmentation) => {
      const split = numbered(24, 3, 8);
      const settings = options({ augmentation, mean: [0, 0, 0], std: [1, 1, 1], seed: 5, numClasses: 7 });
      const straight = trainBatches(split, settings);
      const walked = Array.from({ length: 15 }, (_, step) => straight.at(step));
      for (const step of [14, 0, 7, 7]) expect(trainBatches(split, settings).at(step)).toEqual(walked[step]);
      for (const step of [14, 0, 7, 7]) expect(straight.at(step)).toEqual(walked[step]);
    },
  );

  test("epochs and seeds differ in order, and augmentation differs from epoch to epoch", () => {
    const order = (seed: number, epoch: number): number[] => items(trainBatches(numbered(60), options({ batchSize: 60, seed })).at(epoch));
    expect(order(0, 0)).not.toEqual(order(0, 1));
    expect(order(0, 0)).not.toEqual(order(1, 0));
    const ramp: ImageSplit = { ...numbered(1, 1, 8), images: Uint8Array.from({ length: 64 }, (_, i) => 4 * i) };
    const pictures = Array.from({ length: 20 }, (_, epoch) =>
      String(trainBatches(ramp, options({ batchSize: 1, augmentation: "flip-crop" })).at(epoch).images),
    );
    expect(new Set(pictures).size).toBeGreaterThan(15);
  });

  test("a given batch is overwritten and returned", () => {
    const batches = trainBatches(numbered(12), options());
    const into = { images: new Float32Array(36).fill(-1), labels: new Int32Array(4).fill(-1) };
    expect(batches.at(2, into)).toBe(into);
    expect(into).toEqual(batches.at(2));
  });

  test("pixels are normalised channel by channel: (byte/255 - mean)/std", () => {
    const split: ImageSplit = { images: Uint8Array.of(0, 255), labels: Int32Array.of(0), count: 1, channels: 2, height: 1, width: 1 };
    const { images } = trainBatches(split, options({ batchSize: 1, mean: [0.5, 0.25], std: [0.25, 0.5] })).at(0);
    expect([...images]).toEqual([-2, 1.5]);
  });

  test.each([
    ["a batch larger than the data", () => trainBatches(numbered(3), options()), "batchTooLarge"],
    ["an empty batch", () => trainBatches(numbered(3), options({ batchSize: 0 })), "batchTooLarge"],
    ["means for other channels", () => trainBatches(numbered(4, 3), options()), "badNormalisation"],
    ["a step that is not a number", () => trainBatches(numbered(4), options()).at(Number.NaN), "badStep"],
    ["a step before the first", () => trainBatches(numbered(4), options()).at(-1), "badStep"],
    [
      "a batch of another size",
      () => trainBatches(numbered(4), options()).at(0, { images: new Float32Array(4), labels: new Int32Array(4) }),
      "badBatch",
    ],
    [
      "RandAugment of two channels",
      () => trainBatches(numbered(4, 2), options({ augmentation: "randaugment", mean: [0, 0], std: [1, 1] })),
      "badChannels",
    ],
  ])("%s is refused", (_, act, code) => {
    expect(act).toThrow(DataError);
    expect(act).toThrow(expect.objectContaining({ code }));
  });
});

test("test batches show all items in order; the last is filled up with zeros", () => {
  const batches = [...testBatches(numbered(10), { batchSize: 4, mean: [0], std: [1 / 255] })];
  expect(batches.map(({ count }) => count)).toEqual([4, 4, 2]);
  expect(
    batches.flatMap(({ images, labels, count }) => items({ images: images.subarray(0, count * 9), labels: labels.subarray(0, count) })),
  ).toEqual([...Array(10).keys()]);
  expect([...batches[2]!.images.subarray(18)]).toEqual(Array(18).fill(0));
});

describe("labels that are drawn", () => {
  const count = 40;
  const classes: ImageSplit = {
    images: Uint8Array.from({ length: count }, (_, item) => (item % 4) * 80),
    labels: Int32Array.from({ length: count }, (_, item) => item % 4),
    count,
    channels: 1,
    height: 1,
    width: 1,
  };
  const epochs = 500;
  const drawn = (augmentation: string): { readonly pixel: number; readonly label: number }[] => {
    const batches = trainBatches(classes, { batchSize: count, seed: 2, augmentation, mean: [0], std: [1 / 255], numClasses: 4 });
    return Array.from({ length: epochs }, (_, epoch) => batches.at(epoch)).flatMap(({ images, labels }) =>
      Array.from(images, (pixel, i) => ({ pixel: Math.round(pixel), label: labels[i]! })),
    );
  };

  test("mixup: the expected label is the share of its image; shares are Beta(alpha, alpha)", () => {
    const samples = drawn("mixup:0.5");
    // E[80·label] = E[pixel] image by image; the difference has mean 0 and a deviation below 240/√n.
    const difference = samples.reduce((sum, { pixel, label }) => sum + pixel - 80 * label, 0) / samples.length;
    expect(Math.abs(difference)).toBeLessThan((5 * 120) / Math.sqrt(samples.length));
    // Blends of the darkest and the brightest class at λ: E[λ²] of Beta(1/2, 1/2) is 3/8, so E[pixel²] follows.
    const square = samples.reduce((sum, { pixel }) => sum + pixel ** 2, 0) / samples.length;
    const [first, second] = [(80 ** 2 * (0 + 1 + 4 + 9)) / 4, 120 ** 2];
    expect(Math.abs(square - (2 * (3 / 8) * first + 2 * (1 / 2 - 3 / 8) * second))).toBeLessThan((5 * 57_600) / Math.sqrt(samples.length));
    expect(samples.some(({ pixel }) => pixel % 80 !== 0)).toBe(true);
  });

  test("label smoothing draws the stated share of labels from all classes", () => {
    const samples = drawn("label-smoothing:0.4");
    const wrong = samples.filter(({ pixel, label }) => pixel !== 80 * label).length / samples.length;
    expect(Math.abs(wrong - 0.4 * 0.75)).toBeLessThan((5 * 0.5) / Math.sqrt(samples.length));
    expect(() => trainBatches(classes, { batchSize: 4, seed: 0, augmentation: "label-smoothing:0.1", mean: [0], std: [1] })).toThrow(
      /numClasses/,
    );
  });
});
