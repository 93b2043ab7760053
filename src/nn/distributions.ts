import { normal, uniform } from "../random.ts";
import type { Sampler } from "../tensor/index.ts";

/** ε ~ N(0, I). */
export const standardNormal: Sampler = { name: "normal", fill: (out, key) => normal(key, out as Float32Array) };

/** u ~ U(0, 1), one stratum of equal width for each value: their mean varies less than that of independent draws. */
export const stratifiedUniform: Sampler = {
  name: "stratifiedUniform",
  fill: (out, key) => {
    const values = out as Float32Array;
    uniform(key, values);
    for (let i = 0; i < values.length; i++) values[i] = (i + values[i]!) / values.length;
  },
};
