import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { fold, key, normal } from "../random.ts";
import { FeatureStatistics, fid } from "./fid.ts";

function drawn(name: string, rows: number, width: number, change: (x: number, column: number) => number = (x) => x): number[][] {
  return Array.from({ length: rows }, (_, row) => {
    const out = new Float32Array(width);
    normal(fold(fold(key(name), "fid"), row), out);
    return Array.from(out, change);
  });
}

const golden = new URL("../../../shared/golden/metrics.json", import.meta.url);
test.skipIf(!existsSync(golden))("agrees with the reference value", () => {
  const { fid: reference } = JSON.parse(readFileSync(golden, "utf8")) as { fid: { a: number[][]; b: number[][]; value: number } };
  expect(fid(reference.a, reference.b) / reference.value).toBeCloseTo(1, 8);
});

describe("fid", () => {
  test("of a set with itself is 0; with a shifted copy the squared shift", () => {
    const a = drawn("a", 60, 8);
    expect(fid(a, a)).toBeCloseTo(0, 8);
    const shifted = a.map((row) => row.map((x, i) => x + (i === 2 ? 3 : 0)));
    expect(fid(a, shifted)).toBeCloseTo(9, 8);
  });

  test("of normal distributions with diagonal covariances is Σ (μ − μ')² + (s − s')²", () => {
    const a = drawn("wide", 40_000, 3, (x, i) => (i + 1) * x);
    const b = drawn("narrow", 40_000, 3, (x) => 0.5 * x + 1);
    const expected = [1, 2, 3].reduce((sum, s) => sum + 1 + (s - 0.5) ** 2, 0);
    expect(Math.abs(fid(a, b) / expected - 1)).toBeLessThan(0.02);
  });

  test("is symmetric, and holds for fewer rows than columns", () => {
    const [a, b] = [drawn("few", 6, 20), drawn("more", 30, 20)];
    expect(fid(a, b)).toBeCloseTo(fid(b, a), 5); // a root of a value that is 0 but for rounding
    expect(fid(a, b)).toBeGreaterThan(0);
  });

  test("variances far from zero are not lost", () => {
    const far = (name: string): number[][] => drawn(name, 500, 2, (x) => 1e6 + x);
    const near = (name: string): number[][] => drawn(name, 500, 2);
    expect(fid(far("p"), far("q"))).toBeCloseTo(fid(near("p"), near("q")), 6);
  });

  test("streaming gives the same as all at once", () => {
    const statistics = new FeatureStatistics(4);
    const rows = drawn("stream", 50, 4);
    for (const row of rows) statistics.add(row);
    const mean = statistics.mean();
    for (let i = 0; i < 4; i++) expect(mean[i]).toBeCloseTo(rows.reduce((sum, row) => sum + row[i]!, 0) / 50, 12);
    const covariance = rows.reduce((sum, row) => sum + (row[0]! - mean[0]!) * (row[1]! - mean[1]!), 0) / 49;
    expect(statistics.covariance()[statistics.width]).toBeCloseTo(covariance, 12);
  });

  test.each<[string, number[][], number[][]]>([
    ["sets of different widths", drawn("a", 5, 3), drawn("b", 5, 4)],
    ["a single row", drawn("a", 1, 3), drawn("b", 5, 3)],
    ["rows of different lengths", [[1, 2], [1]], drawn("b", 5, 2)],
    ["no rows", [], drawn("b", 5, 2)],
    [
      "NaN",
      [
        [1, Number.NaN],
        [1, 2],
      ],
      drawn("b", 5, 2),
    ],
  ])("%s are refused", (_, a, b) => {
    expect(() => fid(a, b)).toThrow(UsageError);
  });
});
