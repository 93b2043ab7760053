import { PartitionError } from "../errors.ts";
import { equiProbability } from "./boundaries.ts";
import type { LogNormalNoise, SigmaRange } from "./noise.ts";
import type { Partition } from "./partition.ts";

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

/**
 * Noise levels of a reverse process: `equi-probability` and `karras` run from sigmaMax to sigmaMin; `block-entry` has
 * one level for each block, just inside the noisy end of its range.
 */
export type SigmaGrid = "equi-probability" | "karras" | "block-entry";

/** The levels of a grid, descending. @param numSteps as many as blocks by default: one pass through all layers. */
export function samplingLevels(
  { grid, numSteps }: { readonly grid: SigmaGrid; readonly numSteps?: number | undefined },
  { noise, ranges }: Pick<Partition, "noise" | "ranges">,
): readonly number[] {
  const steps = numSteps ?? ranges.length;
  if (grid === "karras") return karrasGrid(noise, steps);
  if (grid === "equi-probability") return equiProbabilityGrid(noise, steps);
  return ranges.map(entryLevel);
}

/** The noisy end of a block's range. A boundary belongs to the noisier block, so it is a hundredth of the range (in ln sigma) below. */
export function entryLevel([low, high]: SigmaRange, block: number): number {
  return block === 0 ? high : high * (low / high) ** 0.01;
}

/**
 * Times at which masked tokens are revealed. `uniform`: equal steps of t. `cosine`: few tokens at first, where each
 * decides much (Shi et al. 2024).
 */
export type MaskingGrid = "uniform" | "cosine";

/** The times of a grid: `numSteps` descending from 1, then 0. */
export function maskingTimes(grid: MaskingGrid, numSteps: number): readonly number[] {
  checkNumSteps(numSteps);
  const times = Array.from({ length: numSteps }, (_, step) => (numSteps - step) / numSteps);
  return [...(grid === "uniform" ? times : times.map((t) => Math.cos((Math.PI / 2) * (1 - t)))), 0];
}
