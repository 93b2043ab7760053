import { bench, describe } from "vitest";
import { type AdamWStep, allocateArena, referenceKernels } from "../src/optim/kernels/index.ts";

/**
 * One AdamW step over 5 and 20 million parameters: WebAssembly SIMD against plain JavaScript. Run: npx vitest bench
 * --run bench/adamW.bench.ts
 */
const step: AdamWStep = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  bias1: 0.1,
  bias2: 0.001,
  gradScale: 1,
};

for (const millions of [5, 20]) {
  describe(`${millions} M parameters`, () => {
    const n = millions * 1e6;
    const arena = allocateArena(4 * n * Float32Array.BYTES_PER_ELEMENT);
    const [p, g, m, v] = [0, 1, 2, 3].map((i) => arena.view(i * n, n)) as [Float32Array, Float32Array, Float32Array, Float32Array];
    for (let i = 0; i < n; i++) {
      p[i] = Math.sin(i);
      g[i] = 0.01 * Math.cos(1.1 * i);
    }
    const settings = { iterations: 10, time: 500, warmupIterations: 2, warmupTime: 0 };
    bench("WebAssembly SIMD", () => arena.kernels.adamw(p, g, m, v, step), settings);
    bench("JavaScript", () => referenceKernels.adamw(p, g, m, v, step), settings);
  });
}
