import { normal as drawNormal, uniform as drawUniform, type Key } from "../random.ts";
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

/** Uniform in ±√(6/(in + out)) for a matrix [in, out] (Glorot & Bengio 2010). */
export const xavierUniform: Initializer = {
  name: "xavierUniform",
  fill: (out, key, shape) => fillUniform(out, key, Math.sqrt(6 / (shape.at(-2)! + shape.at(-1)!))),
};

function fillUniform(out: Float32Array, key: Key, limit: number): void {
  drawUniform(key, out);
  for (let i = 0; i < out.length; i++) out[i] = (2 * out[i]! - 1) * limit;
}
