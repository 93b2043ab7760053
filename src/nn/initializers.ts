import { normal as drawNormal, uniform as drawUniform, fold, type Key } from "../random.ts";
import type { Initializer } from "../tensor/index.ts";

export const zeros: Initializer = { name: "zeros", fill: (out) => void out.fill(0) };
export const ones: Initializer = { name: "ones", fill: (out) => void out.fill(1) };

/** N(0, std²). With std = 0.02 this is also what a truncated normal with bounds ±2 (not ±2 std) amounts to. */
export function normal(std: number): Initializer {
  return {
    name: `normal(${std})`,
    fill: (out, key) => {
      drawNormal(key, out);
      for (let i = 0; i < out.length; i++) out[i]! *= std;
    },
  };
}

/** Uniform in ±1/√in for a matrix [in, out]: PyTorch's default for linear layers. */
export const fanInUniform: Initializer = {
  name: "fanInUniform",
  fill: (out, key, shape) => fillUniform(out, key, 1 / Math.sqrt(shape.at(-2)!)),
};

/** Uniform in ±limit. */
export function uniform(limit: number): Initializer {
  return { name: `uniform(${limit})`, fill: (out, key) => fillUniform(out, key, limit) };
}

/** Uniform in ±√(6/(in + out)) for a matrix [in, out] (Glorot & Bengio 2010). */
export const xavierUniform: Initializer = {
  name: "xavierUniform",
  fill: (out, key, shape) => fillUniform(out, key, Math.sqrt(6 / (shape.at(-2)! + shape.at(-1)!))),
};

/**
 * Random rows of norm 1 for a matrix [rows, width]: orthogonal to each other while there are no more rows than
 * columns (all distances √2), independent directions beyond.
 */
export const orthonormalRows: Initializer = {
  name: "orthonormalRows",
  fill: (out, key, [rows, width]) => {
    const exact = new Float64Array(out.length);
    const draw = new Float32Array(width!);
    for (let r = 0; r < rows!; r++) {
      drawNormal(fold(key, r), draw);
      const row = exact.subarray(r * width!, (r + 1) * width!);
      row.set(draw);
      // Twice: the second pass removes what rounding left of the first.
      for (let pass = 0; pass < 2; pass++)
        for (let other = 0; rows! <= width! && other < r; other++)
          removeComponent(row, exact.subarray(other * width!, (other + 1) * width!));
      const norm = Math.hypot(...row);
      for (let i = 0; i < row.length; i++) row[i]! /= norm;
    }
    out.set(exact);
  },
};

function removeComponent(row: Float64Array, unit: Float64Array): void {
  let share = 0;
  for (let i = 0; i < row.length; i++) share += row[i]! * unit[i]!;
  for (let i = 0; i < row.length; i++) row[i]! -= share * unit[i]!;
}

function fillUniform(out: Float32Array, key: Key, limit: number): void {
  drawUniform(key, out);
  for (let i = 0; i < out.length; i++) out[i] = (2 * out[i]! - 1) * limit;
}
