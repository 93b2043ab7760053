// A sampler of one's own: the midpoint method, in the place of Euler's or Heun's wherever something is sampled:
//
//   await model.sample({ count: 16, sampler: midpoint() })
//
// Run: node examples/midpoint.mjs. It shows the order of convergence on data with a known answer.
// @ts-check
import { edmNoise, euler, eulerStep, heun, karrasGrid, reverse } from "diffusion-blocks";

/**
 * A half step by the slope at σ, in the middle of ln σ, then the whole step by the slope found there.
 *
 * @returns {import("diffusion-blocks").GaussianSampler}
 */
export function midpoint() {
  return {
    name: "midpoint",
    step: async ({ here: { state: z, estimate: denoised, level: sigma }, next, evaluate }) => {
      if (next === 0) return eulerStep({ z, denoised, sigma, sigmaNext: next });
      const middle = Math.sqrt(sigma * next);
      const half = await evaluate(eulerStep({ z, denoised, sigma, sigmaNext: middle }), middle);
      return z.map((value, i) => value + (next - sigma) * (((half.state[i] ?? 0) - (half.estimate[i] ?? 0)) / middle));
    },
  };
}

// Data N(0, s²): the best denoiser is s²/(s² + σ²) z, and the trajectory ends at z₀ √((s² + σ_min²)/(s² + σ_max²)).
const deviation = 0.5;
const start = Float32Array.of(60);
/** @param {Float32Array} z @param {number} sigma */
const estimate = (z, sigma) => z.map((x) => (x * deviation ** 2) / (deviation ** 2 + sigma ** 2));
const { sigmaMin, sigmaMax } = edmNoise;
const exact = 60 * Math.sqrt((deviation ** 2 + sigmaMin ** 2) / (deviation ** 2 + sigmaMax ** 2));
for (const sampler of [euler(), heun(), midpoint()]) {
  const errors = [];
  for (const numSteps of [16, 32, 64]) {
    const [end = 0] = await reverse(start, { sampler, levels: karrasGrid(edmNoise, numSteps), estimate });
    errors.push(Math.abs(end - exact));
  }
  console.log(`${sampler.name.padEnd(9)} error in 16, 32, 64 steps: ${errors.map((error) => error.toExponential(1)).join(", ")}`);
}
