import { eulerStep, type GaussianSampler } from "./euler.ts";

/**
 * Heun's method: a second evaluation at the next level corrects the slope, order 2. z' = z + (σ' − σ)/2 · (slope at σ
 * + slope at σ'), slope = (z − D)/σ. At σ' = 0 there is no slope: the step is Euler's, with one evaluation.
 *
 * @see EDM (Karras et al. 2022, arXiv 2206.00364), Algorithm 1.
 */
export function heun(): GaussianSampler {
  return {
    name: "heun",
    step: async ({ here: { state: z, estimate: denoised, level: sigma }, next, evaluate }) => {
      const predicted = eulerStep({ z, denoised, sigma, sigmaNext: next });
      if (next === 0) return predicted;
      const end = await evaluate(predicted, next);
      const half = (next - sigma) / 2;
      return z.map((value, i) => value + half * ((value - denoised[i]!) / sigma + (end.state[i]! - end.estimate[i]!) / next));
    },
  };
}
