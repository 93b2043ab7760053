import { expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { ClassQualityMeter } from "./classQuality.ts";

test("shares, F1, calibration and confusion of predictions that were counted by hand", () => {
  const meter = new ClassQualityMeter({ numClasses: 3, bins: 10 });
  meter.add([0.8, 0.1, 0.1], 0);
  meter.add([0.75, 0.25, 0], 1);
  meter.add([0.05, 0.9, 0.05], 1);
  meter.add([0.15, 0.85, 0], 1);
  const { top1, top5, macroF1, f1, calibrationError, reliability, confusion } = meter.result();
  expect([top1, top5]).toEqual([0.75, 1]);
  expect(confusion).toEqual([
    [1, 0, 0],
    [1, 2, 0],
    [0, 0, 0],
  ]);
  // scikit-learn: f1_score([0,1,1,1], [0,0,1,1], average=None) = [2/3, 4/5]
  expect([f1[0], f1[1], f1[2]]).toEqual([2 / 3, 0.8, Number.NaN]);
  expect(macroF1).toBeCloseTo((2 / 3 + 0.8) / 2, 12);
  // Bins (0.7, 0.8]: 0.8 right and 0.75 wrong; (0.8, 0.9]: 0.9 and 0.85, both right.
  expect(reliability).toEqual([
    { count: 2, confidence: 0.775, accuracy: 0.5 },
    { count: 2, confidence: 0.875, accuracy: 1 },
  ]);
  expect(calibrationError).toBeCloseTo(0.5 * 0.275 + 0.5 * 0.125, 12);
});

test("the five likeliest of ten; equal probabilities count in their order", () => {
  const meter = new ClassQualityMeter({ numClasses: 10 });
  const even = new Array<number>(10).fill(0.1);
  meter.add(even, 4);
  meter.add(even, 5);
  expect(meter.result()).toMatchObject({ top1: 0, top5: 0.5 });
});

test("what is no prediction is refused", () => {
  const meter = new ClassQualityMeter({ numClasses: 2 });
  expect(() => meter.result()).toThrow(UsageError);
  expect(() => meter.add([1], 0)).toThrow(UsageError);
  expect(() => meter.add([1, 0], 2)).toThrow(UsageError);
});
