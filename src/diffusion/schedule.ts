import { PartitionError } from "../errors.ts";
import { equiProbability } from "./boundaries.ts";
import type { LogNormalNoise } from "./noise.ts";

/**
 * Sampling grid with equal training probability between neighbours, so that every block of an equi-probability partition answers for
 * about as many steps as any other. T points are T network evaluations and T - 1 Euler steps.
 *
 * With T = B each block answers once. With T = B + 1 the points are the boundaries themselves, and only the tie rule of
 * `blockOfSigma` decides.
 *
 * @param numSteps T, a whole number of at least 1.
 * @returns T sigmas, descending from sigmaMax to sigmaMin; for T = 1 sigmaMax alone.
 * @throws {PartitionError} if numSteps is not a whole number of at least 1.
 * @example equiProbabilityGrid(edmNoise, 3) // [80, 0.301, 0.002]
 */
export function equiProbabilityGrid(noise: LogNormalNoise, numSteps: number): readonly number[] {
  checkNumSteps(numSteps);
  return numSteps === 1 ? [noise.sigmaMax] : equiProbability(numSteps - 1, noise);
}

/**
 * sigma_i = (sigmaMax^(1/rho) + i / (T - 1) (sigmaMin^(1/rho) - sigmaMax^(1/rho)))^rho: steps that shorten towards low noise.
 *
 * @param numSteps T, a whole number of at least 1.
 * @param rho how much they shorten; 1 gives equal steps.
 * @returns T sigmas, descending from sigmaMax to sigmaMin; for T = 1 sigmaMax alone.
 * @throws {PartitionError} if numSteps is not a whole number of at least 1 or rho is not positive.
 * @see EDM (arXiv 2206.00364), Equation 5.
 */
export function karrasGrid(noise: LogNormalNoise, numSteps: number, rho = 7): readonly number[] {
  checkNumSteps(numSteps);
  if (!(rho > 0)) throw new PartitionError("badRho", { rho }, `karrasGrid: rho is ${rho}; it must be positive.`);
  if (numSteps === 1) return [noise.sigmaMax];
  const [from, to] = [noise.sigmaMax ** (1 / rho), noise.sigmaMin ** (1 / rho)];
  const inner = Array.from({ length: numSteps - 2 }, (_, i) => (from + ((i + 1) / (numSteps - 1)) * (to - from)) ** rho);
  return [noise.sigmaMax, ...inner, noise.sigmaMin];
}

function checkNumSteps(numSteps: number): void {
  if (Number.isSafeInteger(numSteps) && numSteps >= 1) return;
  throw new PartitionError("badNumSteps", { numSteps }, `sampling grid: numSteps is ${numSteps}; it must be a whole number of at least 1.`);
}
