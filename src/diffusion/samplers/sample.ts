import { PartitionError } from "../../errors.ts";
import { eulerStep } from "./euler.ts";

/** D(z, σ): the estimate of the clean data, of z's shape. */
export type Denoise = (z: Float32Array, sigma: number) => Promise<Float32Array> | Float32Array;

/**
 * How a step from σ to σ' is made. `euler`: one evaluation, order 1. `heun`: a second evaluation at σ' corrects the slope, order 2 (Karras et al. 2022, Algorithm 1). `dpm++2m`: one evaluation, order 2
 * by what the step before found (Lu et al. 2022, DPM-Solver++, multistep).
 */
export type Sampler = "euler" | "heun" | "dpm++2m";
export const samplers: readonly Sampler[] = ["euler", "heun", "dpm++2m"];

/** Noise that is added before a step and taken away by it (Karras et al. 2022, Algorithm 2). */
export interface Churn {
  /** S_churn: over the whole walk; each step raises σ by the factor 1 + min(S_churn/steps, √2 − 1). */
  readonly amount: number;
  /** Only for σ in this range; everywhere by default. */
  readonly range?: readonly [low: number, high: number];
  /** S_noise: standard deviation of what is added, 1 unless told. */
  readonly scale?: number;
  /** Standard normal numbers of z's shape for a step. */
  readonly noise: (step: number) => Float32Array;
}

export interface SampleStep {
  readonly step: number;
  /** Where the denoiser was asked, and what it said there. */
  readonly sigma: number;
  readonly denoised: Float32Array;
  /** The state after the step, at `sigmaNext`. */
  readonly z: Float32Array;
  readonly sigmaNext: number;
}

export interface SampleWalk {
  readonly sampler: Sampler;
  /** Descending noise levels; the last may be 0. T levels are T − 1 steps. */
  readonly grid: readonly number[];
  readonly denoise: Denoise;
  readonly churn?: Churn;
  /** Told of each step, in order; awaited. */
  readonly onStep?: (step: SampleStep) => void | Promise<void>;
}

/**
 * Walks a state down a grid of noise levels along dz/dσ = (z − D(z, σ))/σ.
 *
 * @param z the state at grid[0], for pure noise σ₀ε. It is not changed.
 * @returns the state at the last level.
 * @throws {PartitionError} unless the grid descends strictly to a last value of at least 0.
 */
export async function sample(z: Float32Array, { sampler, grid, denoise, churn, onStep }: SampleWalk): Promise<Float32Array> {
  checkGrid(grid);
  let state = z;
  let before: Estimate | undefined;
  for (let step = 0; step + 1 < grid.length; step++) {
    const sigmaNext = grid[step + 1]!;
    const [raised, sigma] = churned(state, grid[step]!, step, grid.length - 1, churn);
    const here: Estimate = { sigma, denoised: await denoise(raised, sigma) };
    state = await steps[sampler]({ z: raised, here, before, sigmaNext, denoise });
    before = here;
    await onStep?.({ step, sigma, denoised: here.denoised, z: state, sigmaNext });
  }
  return state;
}

interface Estimate {
  readonly sigma: number;
  readonly denoised: Float32Array;
}

interface Step {
  readonly z: Float32Array;
  readonly here: Estimate;
  readonly before: Estimate | undefined;
  readonly sigmaNext: number;
  readonly denoise: Denoise;
}

const steps: Readonly<Record<Sampler, (step: Step) => Float32Array | Promise<Float32Array>>> = {
  euler: ({ z, here, sigmaNext }) => eulerStep({ z, denoised: here.denoised, sigma: here.sigma, sigmaNext }),

  // The mean of the slopes at both ends; at σ' = 0 there is none.
  heun: async ({ z, here: { sigma, denoised }, sigmaNext, denoise }) => {
    const euler = eulerStep({ z, denoised, sigma, sigmaNext });
    if (sigmaNext === 0) return euler;
    const corrected = await denoise(euler, sigmaNext);
    const half = (sigmaNext - sigma) / 2;
    return z.map((value, i) => value + half * ((value - denoised[i]!) / sigma + (euler[i]! - corrected[i]!) / sigmaNext));
  },

  // In λ = −ln σ with step h: z' = e^(−h) z + (1 − e^(−h)) D*, D* = D + h/(2 h₋) (D − D₋).
  "dpm++2m": ({ z, here: { sigma, denoised }, before, sigmaNext }) => {
    if (before === undefined || sigmaNext === 0) return eulerStep({ z, denoised, sigma, sigmaNext });
    const ratio = Math.log(sigma / sigmaNext) / (2 * Math.log(before.sigma / sigma));
    const extrapolated = denoised.map((value, i) => value + ratio * (value - before.denoised[i]!));
    return eulerStep({ z, denoised: extrapolated, sigma, sigmaNext });
  },
};

function churned(
  z: Float32Array,
  sigma: number,
  step: number,
  numSteps: number,
  churn: Churn | undefined,
): readonly [Float32Array, number] {
  if (churn === undefined) return [z, sigma];
  const { amount, range: [low, high] = [0, Number.POSITIVE_INFINITY], scale = 1, noise } = churn;
  const gamma = sigma >= low && sigma <= high ? Math.min(amount / numSteps, Math.SQRT2 - 1) : 0;
  if (gamma === 0) return [z, sigma];
  const raised = sigma * (1 + gamma);
  const deviation = scale * Math.sqrt(raised ** 2 - sigma ** 2);
  const epsilon = noise(step);
  return [z.map((value, i) => value + deviation * epsilon[i]!), raised];
}

function checkGrid(grid: readonly number[]): void {
  const descends = grid.every((sigma, i) => sigma >= 0 && (i === 0 || sigma < grid[i - 1]!));
  if (grid.length >= 2 && descends) return;
  throw new PartitionError(
    "badGrid",
    { grid },
    "sample: the grid of noise levels must descend strictly, with at least two of them and none below 0.",
  );
}
