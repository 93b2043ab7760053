import { dpmpp2m } from "./dpmSolver.ts";
import { euler, type GaussianSampler } from "./euler.ts";
import { heun } from "./heun.ts";

export { type AncestralOptions, ancestral } from "./ancestral.ts";
export { type Churn, withChurn } from "./churn.ts";
export { dpmpp2m } from "./dpmSolver.ts";
export { type EulerStepInput, euler, eulerStep, type GaussianSampler } from "./euler.ts";
export { heun } from "./heun.ts";
export { type PlannedSum, type PlannedValue, type PlanOptions, planReverse, type ReversePlan } from "./plan.ts";
export {
  type Evaluation,
  type ReverseOptions,
  type ReverseStep,
  reverse,
  type Sampler,
  type Stepped,
  startState,
} from "./reverse.ts";

/** Samplers of Gaussian noise, as options name them: a new one needs its line here. */
export const samplers = { euler, heun, "dpm++2m": dpmpp2m } as const satisfies Readonly<Record<string, () => GaussianSampler>>;

export type SamplerName = keyof typeof samplers;

/** The names, for the choices of an option. */
export const samplerNames = Object.keys(samplers) as [SamplerName, ...SamplerName[]];

/** A sampler by its name, or one of one's own. */
export function samplerOf(sampler: SamplerName | GaussianSampler): GaussianSampler {
  return typeof sampler === "string" ? samplers[sampler]() : sampler;
}
