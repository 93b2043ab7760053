import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { antitheticTimes, blockOfTime, keptShare, type MaskingSchedule, maskingPartition, maskingWeight } from "./masking.ts";

describe.each(["linear", "cosine"] as MaskingSchedule[])("%s", (schedule) => {
  test("keeps nearly all at 0 and nearly none at 1, and falls between", () => {
    expect(keptShare(schedule, 0)).toBeCloseTo(1 - 1e-4, 12);
    expect(keptShare(schedule, 1)).toBeCloseTo(1e-4, 12);
    for (let t = 0.01; t <= 1; t += 0.01) expect(keptShare(schedule, t)).toBeLessThan(keptShare(schedule, t - 0.01));
  });

  test("the weight is −α′/(1 − α)", () => {
    for (const t of [0.1, 0.4, 0.7, 0.95]) {
      const slope = (keptShare(schedule, t - 1e-6) - keptShare(schedule, t + 1e-6)) / 2e-6;
      expect(maskingWeight(schedule, t) / (slope / (1 - keptShare(schedule, t)))).toBeCloseTo(1, 6);
    }
  });

  test.each([1, 2, 3, 5])("%i blocks hide equal shares, the first the most, and cover all times once", (numBlocks) => {
    const partition = maskingPartition({ numBlocks, schedule, overlap: 0.1 });
    expect(partition.ranges[0]![1]).toBe(1);
    expect(partition.ranges.at(-1)![0]).toBeCloseTo(0, 12);
    for (const [b, [low, high]] of partition.ranges.entries()) {
      expect(keptShare(schedule, low) - keptShare(schedule, high)).toBeCloseTo((1 - 2e-4) / numBlocks, 9);
      if (b > 0) expect(high).toBe(partition.ranges[b - 1]![0]);
      const [wideLow, wideHigh] = partition.trainingRanges[b]!;
      expect(wideLow).toBeCloseTo(Math.max(0, low - 0.1 * (high - low)), 12);
      expect(wideHigh).toBeCloseTo(Math.min(1, high + 0.1 * (high - low)), 12);
      expect(blockOfTime(partition, (low + high) / 2)).toBe(b);
      expect(blockOfTime(partition, low)).toBe(b);
    }
    expect(blockOfTime(partition, 0)).toBe(numBlocks - 1);
  });
});

test("bad numbers are refused", () => {
  for (const numBlocks of [0, 1.5]) expect(() => maskingPartition({ numBlocks })).toThrow(PartitionError);
  expect(() => maskingPartition({ numBlocks: 2, overlap: -1 })).toThrow(PartitionError);
});

test("antithetic times are spread evenly and end inside their range", () => {
  const times = antitheticTimes([0.2, 0.6], 4, 0.3);
  expect([...times].sort()).toEqual(
    [0.2 + 0.4 * 0.05, 0.2 + 0.4 * 0.3, 0.2 + 0.4 * 0.55, 0.2 + 0.4 * 0.8].map((t) => expect.closeTo(t, 12)),
  );
});
