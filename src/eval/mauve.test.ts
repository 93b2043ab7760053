import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { mauveOfHistograms } from "./mauve.ts";

interface GoldenCase {
  readonly p: number[];
  readonly q: number[];
  readonly scaling: number;
  readonly points: number;
  readonly mauve: number;
  readonly curve?: [number, number][] | null;
}

const golden = new URL("../../../shared/golden/metrics.json", import.meta.url);
test.skipIf(!existsSync(golden))("agrees with the reference values", () => {
  const { mauve } = JSON.parse(readFileSync(golden, "utf8")) as { mauve: { cases: GoldenCase[] } };
  expect(mauve.cases.length).toBeGreaterThan(3);
  for (const { p, q, scaling, points, mauve: expected, curve } of mauve.cases) {
    const result = mauveOfHistograms(p, q, { scaling, points });
    expect(result.mauve / expected).toBeCloseTo(1, 8);
    for (const [i, [x, y]] of curve?.entries() ?? []) {
      expect(result.curve[i]![0]).toBeCloseTo(x, 8);
      expect(result.curve[i]![1]).toBeCloseTo(y, 8);
    }
  }
});

describe("mauveOfHistograms", () => {
  test("is 1 for equal histograms, near 0 for disjoint ones, and symmetric", () => {
    expect(mauveOfHistograms([3, 1, 2], [6, 2, 4]).mauve).toBeCloseTo(1, 9);
    expect(mauveOfHistograms([1, 1, 0, 0], [0, 0, 1, 1]).mauve).toBeLessThan(0.05);
    expect(mauveOfHistograms([3, 1, 2], [1, 1, 5]).mauve).toBeCloseTo(mauveOfHistograms([1, 1, 5], [3, 1, 2]).mauve, 9);
  });

  test("a larger scaling gives a smaller value, and the frontier integral none of it", () => {
    const [p, q] = [
      [4, 1, 2, 3],
      [1, 2, 2, 5],
    ];
    const values = [1, 2, 5, 10].map((scaling) => mauveOfHistograms(p, q, { scaling }));
    for (let i = 1; i < values.length; i++) expect(values[i]!.mauve).toBeLessThan(values[i - 1]!.mauve);
    expect(new Set(values.map(({ frontierIntegral }) => frontierIntegral)).size).toBe(1);
    expect(mauveOfHistograms([1, 0], [0, 1]).frontierIntegral).toBeCloseTo(1, 12);
    expect(mauveOfHistograms([1, 1], [1, 1]).frontierIntegral).toBe(0);
  });

  test.each([
    ["different lengths", [1, 2], [1, 2, 3]],
    ["nothing counted", [0, 0], [1, 2]],
    ["no clusters", [], []],
    ["a negative count", [1, -1], [1, 2]],
    ["NaN", [1, Number.NaN], [1, 2]],
  ])("%s are refused", (_, p, q) => {
    expect(() => mauveOfHistograms(p, q)).toThrow(UsageError);
  });
});
