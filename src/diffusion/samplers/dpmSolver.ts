import { eulerStep, type GaussianSampler } from "./euler.ts";

/**
 * DPM-Solver++(2M): one evaluation for each step, order 2 by the evaluation of the step before. In λ = −ln σ with steps h:
 * z' = e^(−h) z + (1 − e^(−h)) D*, D* = D + h/(2 h₋) (D − D₋). The first step, and one to σ' = 0, are Euler's.
 *
 * @see Lu et al. 2022 (arXiv 2211.01095), Algorithm 2.
 */
export function dpmpp2m(): GaussianSampler {
  return {
    name: "dpm++2m",
    step: ({ here: { state: z, estimate: denoised, level: sigma }, before, next }) => {
      if (before === undefined || next === 0) return eulerStep({ z, denoised, sigma, sigmaNext: next });
      const ratio = Math.log(sigma / next) / (2 * Math.log(before.level / sigma));
      const extrapolated = denoised.map((value, i) => value + ratio * (value - before.estimate[i]!));
      return eulerStep({ z, denoised: extrapolated, sigma, sigmaNext: next });
    },
  };
}
