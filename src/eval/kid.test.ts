import { expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { fold, key, normals, uniformAt } from "../random.ts";
import { kid } from "./kid.ts";

const drawn = (name: string, rows: number, width: number, shift = 0): Float32Array[] =>
  Array.from({ length: rows }, (_, i) => normals(fold(key(name), i), width).map((x) => x + shift));
const uniforms = (): (() => number) => {
  let count = 0;
  return () => uniformAt(key("subsets"), count++);
};

// numpy: k = lambda x, y: (x @ y.T / 2 + 1) ** 3; a = [[1, 0], [0, 1]]; b = [[1, 1], [2, 0]]
// (k(a,a).sum() - trace)/2 + (k(b,b).sum() - trace)/2 - 2 k(a,b).mean() = 1 + 8 - 2 (3.375 + 8 + 3.375 + 1)/4 = 1.125
test("agrees with a value that was counted by hand", () => {
  expect(
    kid(
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 1],
        [2, 0],
      ],
      { subsets: 3, uniform: uniforms() },
    ),
  ).toEqual({ mean: 1.125, std: 0 });
});

test("is about 0 for sets of one distribution, however few, and grows with a shift", () => {
  const options = { subsetSize: 40, subsets: 20 };
  const same = kid(drawn("a", 60, 16), drawn("b", 60, 16), { ...options, uniform: uniforms() });
  const shifted = kid(drawn("a", 60, 16), drawn("b", 60, 16, 1), { ...options, uniform: uniforms() });
  expect(Math.abs(same.mean)).toBeLessThan(0.1);
  expect(shifted.mean).toBeGreaterThan(2);
});

test("sets of other widths, or of one row, are refused", () => {
  expect(() => kid(drawn("a", 5, 4), drawn("b", 5, 3), { uniform: uniforms() })).toThrow(UsageError);
  expect(() => kid(drawn("a", 1, 4), drawn("b", 5, 4), { uniform: uniforms() })).toThrow(UsageError);
});
