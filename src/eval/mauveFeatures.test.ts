import { describe, expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { fold, integer, key, normals } from "../random.ts";
import { kMeans } from "./kMeans.ts";
import { mauve } from "./mauveFeatures.ts";

/** Rows around four corners, taken with the given shares of 10. */
const corners = (name: string, rows: number, shares: readonly number[]): Float32Array[] =>
  Array.from({ length: rows }, (_, i) => {
    const own = fold(key(name), i);
    const draw = integer(fold(own, "corner"), 10);
    let corner = 0;
    for (let sum = shares[0]!; draw >= sum; sum += shares[corner]!) corner++;
    return normals(own, 8).map((x, j) => 0.05 * x + (j === corner ? 1 : 0));
  });

describe("mauve of features", () => {
  const even = [3, 3, 2, 2];
  test("sets of one distribution are near 1, other shares lower, other places near 0", () => {
    const options = { buckets: 4, seeds: 2 };
    const real = corners("real", 300, even);
    const same = mauve(real, corners("same", 300, even), options);
    const other = mauve(real, corners("other", 300, [1, 1, 0, 8]), options);
    const away = mauve(
      real,
      corners("away", 300, even).map((row) => row.map((x) => -x)),
      { ...options, buckets: 8 },
    );
    expect(same.mauve).toBeGreaterThan(0.97);
    expect(other.mauve).toBeLessThan(0.8);
    expect(away.mauve).toBeLessThan(0.05);
    expect(same).toMatchObject({ scaling: 5, buckets: 4, seeds: 2, components: 3 });
    expect(other.frontierIntegral).toBeGreaterThan(same.frontierIntegral);
    expect(away.smoothed).toBeGreaterThan(away.mauve);
  });

  test("the scaling belongs to the value; a tenth of the smaller set are the buckets", () => {
    const [p, q] = [corners("p", 80, even), corners("q", 60, [1, 1, 4, 4])];
    const [low, high] = [mauve(p, q, { scaling: 2, seeds: 1 }), mauve(p, q, { scaling: 5, seeds: 1 })];
    expect(low.mauve).toBeGreaterThan(high.mauve);
    expect(low.buckets).toBe(6);
  });

  test("what is no pair of sets is refused", () => {
    const rows = corners("p", 6, even);
    for (const [p, q, options] of [
      [rows, [[1, 2]], {}],
      [rows, rows.slice(0, 1), {}],
      [rows, [...rows.slice(1), Float32Array.from({ length: 8 }, () => Number.NaN)], {}],
      [rows, rows, { buckets: 100 }],
    ] as const)
      expect(() => mauve(p, q, options)).toThrow(UsageError);
  });
});

test("k-means finds clusters that lie apart, and no cluster is empty", () => {
  const values = Float64Array.from({ length: 90 }, (_, i) => (i % 3) * 100 + Math.floor(i / 3) * 0.1);
  const labels = kMeans({ values, count: 90, width: 1 }, { clusters: 3, restarts: 3, iterations: 50, key: key("k-means") });
  expect(new Set(labels).size).toBe(3);
  for (let i = 3; i < 90; i++) expect(labels[i]).toBe(labels[i % 3]);
});
