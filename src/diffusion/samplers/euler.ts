import { PartitionError, ShapeError } from "../../errors.ts";
import type { Sampler } from "./reverse.ts";

/** Takes noise from states of any shape, flat; estimates are of the same shape. */
export type GaussianSampler = Sampler<Float32Array, Float32Array>;

export interface EulerStepInput {
  /** The state at noise level sigma. Any shape, flat. */
  readonly z: Float32Array;
  /** D(z, sigma), of the same shape. */
  readonly denoised: Float32Array;
  readonly sigma: number;
  /** The noise level to go to, 0 <= sigmaNext <= sigma. */
  readonly sigmaNext: number;
}

/**
 * One Euler step of the probability-flow ODE dz/dsigma = (z - D) / sigma, towards less noise: z' = D + (sigmaNext /
 * sigma) (z - D). At sigmaNext = 0 it returns D. A perfect denoiser (D = y, z = y + sigma eps) lands on y + sigmaNext
 * eps.
 *
 * @throws {ShapeError} if z and denoised differ in length.
 * @throws {PartitionError} unless 0 <= sigmaNext <= sigma and sigma > 0.
 * @see EDM (arXiv 2206.00364), Algorithm 2 without correction. DiffusionBlocks, Equations 3 to 5, print the opposite
 *   sign, which adds noise.
 */
export function eulerStep({ z, denoised, sigma, sigmaNext }: EulerStepInput): Float32Array {
  if (z.length !== denoised.length) {
    const message = `eulerStep: z has ${z.length} values, denoised ${denoised.length}; they must have the same shape.`;
    throw new ShapeError("lengthsDiffer", { z: z.length, denoised: denoised.length }, message);
  }
  if (!(sigma > 0 && sigmaNext >= 0 && sigmaNext <= sigma)) {
    const message = `eulerStep: from sigma ${sigma} to ${sigmaNext}; a step goes down, 0 <= sigmaNext <= sigma. Pass a descending grid.`;
    throw new PartitionError("stepNotDown", { sigma, sigmaNext }, message);
  }
  const kept = sigmaNext / sigma;
  return denoised.map((target, i) => target + kept * (z[i]! - target));
}

/** Euler's method: one evaluation for each step, order 1. */
export function euler(): GaussianSampler {
  return {
    name: "euler",
    step: ({ here, next }) => eulerStep({ z: here.state, denoised: here.estimate, sigma: here.level, sigmaNext: next }),
  };
}
