import type { GaussianSampler } from "./euler.ts";

/** Noise that is added before a step and taken away by it. */
export interface Churn {
  /** S_churn, over the whole process: each step raises σ by the factor 1 + min(S_churn/steps, √2 − 1). */
  readonly amount: number;
  /** Only for σ in this range; everywhere by default. */
  readonly range?: readonly [low: number, high: number];
  /** S_noise: standard deviation of what is added, 1 by default. */
  readonly scale?: number;
  /** Standard normal numbers of the state's shape for a step. */
  noise(step: number): Float32Array;
}

/**
 * A sampler that adds noise before each step.
 *
 * @see EDM (Karras et al. 2022, arXiv 2206.00364), Algorithm 2.
 */
export function withChurn(sampler: GaussianSampler, churn: Churn): GaussianSampler {
  const { amount, range: [low, high] = [0, Number.POSITIVE_INFINITY], scale = 1 } = churn;
  return {
    ...sampler,
    perturb: (z, sigma, step, numSteps) => {
      const gamma = sigma >= low && sigma <= high ? Math.min(amount / numSteps, Math.SQRT2 - 1) : 0;
      if (gamma === 0) return [z, sigma];
      const raised = sigma * (1 + gamma);
      const deviation = scale * Math.sqrt(raised ** 2 - sigma ** 2);
      const epsilon = churn.noise(step);
      return [z.map((value, i) => value + deviation * epsilon[i]!), raised];
    },
  };
}
