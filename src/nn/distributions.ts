import { bernoulli, normal, uniform } from "../random.ts";
import type { Sampler } from "../tensor/index.ts";

/** ε ~ N(0, I). */
export const standardNormal: Sampler = { name: "normal", fill: (out, key) => normal(key, out as Float32Array) };

/** u ~ U(0, 1) */
export const standardUniform: Sampler = { name: "uniform", fill: (out, key) => uniform(key, out as Float32Array) };

/** 1 with the given probability, else 0: into a tensor of truth values. */
export function bernoulliSampler(probability: number): Sampler {
  return { name: `bernoulli(${probability})`, fill: (out, key) => bernoulli(key, out as Uint8Array, probability) };
}

/** u ~ U(0, 1), one stratum of equal width for each value: their mean varies less than that of independent draws. */
export const stratifiedUniform: Sampler = {
  name: "stratifiedUniform",
  fill: (out, key) => {
    const values = out as Float32Array;
    uniform(key, values);
    for (let i = 0; i < values.length; i++) values[i] = (i + values[i]!) / values.length;
  },
};
