import { normal } from "../random.ts";
import type { Sampler } from "../tensor/index.ts";

/** ε ~ N(0, I). */
export const standardNormal: Sampler = { name: "normal", fill: (out, key) => normal(key, out as Float32Array) };
