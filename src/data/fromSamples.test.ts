import { describe, expect, test } from "vitest";
import { datasetFrom, type Samples } from "./fromSamples.ts";

const samples = Array.from({ length: 12 }, (_, i) => ({ image: Uint8Array.of(i, 2 * i), label: i % 3 }));
const shape = { name: "own", channels: 2, height: 1, width: 1 };

async function* later(): AsyncGenerator<(typeof samples)[number]> {
  for (const sample of samples) yield await Promise.resolve(sample);
}

describe("samples of one's own", () => {
  const lists: readonly [string, () => Samples][] = [
    ["an array", () => samples],
    ["a list with length and at", () => ({ length: 12, at: (i) => samples[i]! })],
    ["what comes one after the other", later],
    ["a set", () => new Set(samples)],
  ];
  test.each(lists)("%s", async (_, train) => {
    const data = await datasetFrom({ ...shape, train: train(), test: train(), classNames: ["a", "b", "c", "d"] });
    expect(data).toMatchObject({ name: "own", numClasses: 4, classNames: ["a", "b", "c", "d"], train: { count: 12, ...{ channels: 2 } } });
    expect(data.train.images).toEqual(Uint8Array.from(samples.flatMap(({ image }) => [...image])));
    expect([...data.train.labels]).toEqual(samples.map(({ label }) => label));
    expect(data.mean[1]).toBeCloseTo(2 * data.mean[0]!);
    expect(data.isLatent).toBeUndefined();
  });

  test("without a test part a share of each class is held out; numbers are no pixels", async () => {
    const train = samples.map(({ image, label }) => ({ image: [...image].map((value) => value / 7), label }));
    const data = await datasetFrom({ ...shape, train, valSplit: 0.25 });
    expect([data.isLatent, data.train.count, data.test.count, data.numClasses]).toEqual([true, 9, 3, 3]);
  });

  test.each<[string, Samples, RegExp]>([
    ["of another size", [{ image: [1], label: 0 }], /own: train sample 0 has 1 values; 2×1×1 are 2/],
    ["of no class", [{ image: [1, 2], label: -1 }], /train label, record 0, is -1/],
    ["of half a class", [{ image: [1, 2], label: 0.5 }], /train label, record 0, is 0.5/],
    ["that is not finite", [{ image: [1, Number.NaN], label: 0 }], /train, record 0, holds NaN/],
    ["that is missing", [], /no test part, and --val-split 0.1 of its 0 samples/],
  ])("a sample %s is refused", async (_, train, message) => {
    await expect(datasetFrom({ ...shape, train })).rejects.toThrow(message);
  });
});
