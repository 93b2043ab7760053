import { describe, expect, test } from "vitest";
import golden from "../../test/golden/mauve.json" with { type: "json" };
import { UsageError } from "../errors.ts";
import { mauveFromHistograms } from "./mauve.ts";

// NumPy, float64: the histograms, scalings and values of independent reference code.
test("agrees with the reference values", () => {
  expect(golden.cases.length).toBeGreaterThan(3);
  for (const { p, q, scaling, points, mauve: expected } of golden.cases)
    expect(mauveFromHistograms(p, q, { scaling, points }).mauve / expected).toBeCloseTo(1, 8);
});

describe("mauveFromHistograms", () => {
  test("is 1 for equal histograms, near 0 for disjoint ones, and symmetric", () => {
    expect(mauveFromHistograms([3, 1, 2], [6, 2, 4]).mauve).toBeCloseTo(1, 9);
    expect(mauveFromHistograms([1, 1, 0, 0], [0, 0, 1, 1]).mauve).toBeLessThan(0.05);
    expect(mauveFromHistograms([3, 1, 2], [1, 1, 5]).mauve).toBeCloseTo(mauveFromHistograms([1, 1, 5], [3, 1, 2]).mauve, 9);
  });

  test("a larger scaling gives a smaller value, and the frontier integral none of it", () => {
    const [p, q] = [
      [4, 1, 2, 3],
      [1, 2, 2, 5],
    ];
    const values = [1, 2, 5, 10].map((scaling) => mauveFromHistograms(p, q, { scaling }));
    for (let i = 1; i < values.length; i++) expect(values[i]!.mauve).toBeLessThan(values[i - 1]!.mauve);
    expect(new Set(values.map(({ frontierIntegral }) => frontierIntegral)).size).toBe(1);
    expect(mauveFromHistograms([1, 0], [0, 1]).frontierIntegral).toBeCloseTo(1, 12);
    expect(mauveFromHistograms([1, 1], [1, 1]).frontierIntegral).toBe(0);
  });

  test.each([
    ["different lengths", [1, 2], [1, 2, 3]],
    ["nothing counted", [0, 0], [1, 2]],
    ["no clusters", [], []],
    ["a negative count", [1, -1], [1, 2]],
    ["NaN", [1, Number.NaN], [1, 2]],
  ])("%s are refused", (_, p, q) => {
    expect(() => mauveFromHistograms(p, q)).toThrow(UsageError);
  });
});
