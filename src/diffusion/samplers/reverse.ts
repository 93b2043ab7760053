import { PartitionError } from "../../errors.ts";

/** An estimate of the clean state at one level. */
export interface Evaluation<State, Estimate> {
  readonly level: number;
  /** The state for which the estimate was made. */
  readonly state: State;
  readonly estimate: Estimate;
}

/** A step of a reverse process, from the level of `here` to `next`. */
export interface ReverseStep<State, Estimate> {
  /** Counted from 0. */
  readonly step: number;
  readonly here: Evaluation<State, Estimate>;
  /** The evaluation that the step before started from; undefined in the first. */
  readonly before: Evaluation<State, Estimate> | undefined;
  readonly next: number;
  /** A further evaluation within the step. */
  evaluate(state: State, level: number): Promise<Evaluation<State, Estimate>>;
}

/**
 * The step of a reverse process from one level to the next: a value that holds nothing of a process.
 *
 * @typeParam State what is denoised, such as a Float32Array of noisy numbers or an Int32Array of tokens.
 * @typeParam Estimate of the clean state.
 */
export interface Sampler<State, Estimate> {
  readonly name: string;
  /** The state at the next level. Each step is given one evaluation at its own level. */
  step(step: ReverseStep<State, Estimate>): Promise<State> | State;
  /** Takes the state to another level, where the evaluation is then made: see `withChurn`. */
  perturb?(state: State, level: number, step: number, numSteps: number): readonly [state: State, level: number];
}

/** A step that was made. */
export interface Stepped<State, Estimate> extends Evaluation<State, Estimate> {
  readonly step: number;
  /** The state after the step. */
  readonly reached: State;
  readonly next: number;
}

export interface ReverseOptions<State, Estimate> {
  readonly sampler: Sampler<State, Estimate>;
  /** Strictly descending, the last at least 0. T levels are T − 1 steps. */
  readonly levels: readonly number[];
  /** D(state, level): estimates the clean state. Evaluations are counted from 0: keys of random numbers derive from the count. */
  estimate(state: State, level: number, evaluation: number): Promise<Estimate> | Estimate;
  /** Sets what is known of the state, before each evaluation. */
  constrain?(state: State, level: number): State;
  /** Called after each step, in order, and awaited. */
  onStep?(step: Stepped<State, Estimate>): void | Promise<void>;
}

/**
 * The reverse process: takes a state down the levels, by estimates of the clean state at each of them. For noise of
 * standard deviation σ this is the probability-flow ODE dz/dσ = (z − D(z, σ))/σ.
 *
 * @param start the state at levels[0]. It is not changed.
 * @returns the state at the last level; `start` itself if there is one level only.
 * @throws {PartitionError} unless the levels descend strictly to a last one of at least 0.
 * @see EDM (Karras et al. 2022, arXiv 2206.00364), Algorithms 1 and 2.
 */
export async function reverse<State, Estimate>(
  start: State,
  { sampler, levels, estimate, constrain = (state) => state, onStep }: ReverseOptions<State, Estimate>,
): Promise<State> {
  checkLevels(levels);
  let evaluations = 0;
  const evaluate = async (given: State, level: number): Promise<Evaluation<State, Estimate>> => {
    const state = constrain(given, level);
    return { level, state, estimate: await estimate(state, level, evaluations++) };
  };
  let state = start;
  let before: Evaluation<State, Estimate> | undefined;
  for (const [step, next] of levels.slice(1).entries()) {
    const here = await evaluate(...(sampler.perturb?.(state, levels[step]!, step, levels.length - 1) ?? [state, levels[step]!]));
    state = await sampler.step({ step, here, before, next, evaluate });
    before = here;
    await onStep?.({ ...here, step, reached: state, next });
  }
  return state;
}

/** Pure noise at level σ, for clean states of variance 1: noise · √(1 + σ²), noise being standard normal. */
export function startState(noise: Float32Array, sigma: number): Float32Array {
  const deviation = Math.sqrt(1 + sigma ** 2);
  return noise.map((x) => x * deviation);
}

function checkLevels(levels: readonly number[]): void {
  const descend = levels.every((level, i) => level >= 0 && (i === 0 || level < levels[i - 1]!));
  if (levels.length >= 1 && descend) return;
  throw new PartitionError("badGrid", { levels }, "reverse: the levels must descend strictly, with at least one of them and none below 0.");
}
