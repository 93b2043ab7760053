import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { expect, test } from "vitest";
import { fold, key, normals } from "../random.ts";
import { choleskyOf, gramOfProduct, symmetricEigenvalues } from "./symmetric.ts";

const sizes = [1, 2, 3, 17, 70];
/** A Gram matrix of `rank` random rows: singular where these are fewer than n. */
const gram = (n: number, rank: number, name = "gram"): Matrix => {
  const rows = new Matrix(Array.from({ length: rank }, (_, i) => Array.from(normals(fold(key(name), i), n))));
  return rows.transpose().mmul(rows);
};
const flat = (matrix: Matrix): Float64Array => Float64Array.from(matrix.to1DArray());

test.each(sizes)("eigenvalues of a symmetric matrix of size %i are those of ml-matrix", (n) => {
  const matrix = gram(n, n).sub(gram(n, n, "other"));
  const expected = [...new EigenvalueDecomposition(matrix, { assumeSymmetric: true }).realEigenvalues].sort((a, b) => a - b);
  const found = symmetricEigenvalues(flat(matrix), n).sort((a, b) => a - b);
  for (const [i, value] of expected.entries()) expect(Math.abs(found[i]! - value)).toBeLessThan(1e-10 * n);
});

test("diagonal matrices, zeros and a chain of equal eigenvalues", () => {
  expect([...symmetricEigenvalues(flat(Matrix.diag([3, -1, 2])), 3)].sort()).toEqual([-1, 2, 3]);
  expect([...symmetricEigenvalues(new Float64Array(16), 4)]).toEqual([0, 0, 0, 0]);
  expect([...symmetricEigenvalues(flat(Matrix.ones(5, 5)), 5)].reduce((a, b) => a + b)).toBeCloseTo(5, 12);
});

test.each(sizes)("L Lᵀ is the matrix again, also where it is singular, size %i", (n) => {
  for (const rank of [n, Math.ceil(n / 2)]) {
    const matrix = gram(n, rank);
    const l = new Matrix(Array.from({ length: n }, (_, i) => Array.from(choleskyOf(flat(matrix), n).subarray(i * n, (i + 1) * n))));
    expect(Matrix.sub(l.mmul(l.transpose()), matrix).norm()).toBeLessThan(1e-7 * (1 + matrix.norm()));
  }
});

test("the product of two triangular factors has the eigenvalues of the product of the matrices", () => {
  const [n, a, b] = [20, gram(20, 20, "a"), gram(20, 20, "b")];
  const values = symmetricEigenvalues(gramOfProduct(choleskyOf(flat(a), n), choleskyOf(flat(b), n), n), n);
  const expected = [...new EigenvalueDecomposition(a.mmul(b)).realEigenvalues].sort((x, y) => x - y);
  for (const [i, value] of [...values].sort((x, y) => x - y).entries())
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-7 * expected.at(-1)!);
});
