import { dpmpp2m } from "./dpmSolver.ts";
import { euler, type GaussianSampler } from "./euler.ts";
import { heun } from "./heun.ts";

export { type AncestralOptions, ancestral } from "./ancestral.ts";
export { type Churn, withChurn } from "./churn.ts";
export { dpmpp2m } from "./dpmSolver.ts";
export { type EulerStepInput, euler, eulerStep, type GaussianSampler } from "./euler.ts";
export { heun } from "./heun.ts";
export {
  type Evaluation,
  type ReverseOptions,
  type ReverseStep,
  reverse,
  type Sampler,
  type Stepped,
  startState,
} from "./reverse.ts";

/** Samplers of Gaussian noise, as options name them. */
export type SamplerName = "euler" | "heun" | "dpm++2m";

export const samplers: Readonly<Record<SamplerName, () => GaussianSampler>> = { euler, heun, "dpm++2m": dpmpp2m };

/** A sampler by its name, or one of one's own. */
export function samplerOf(sampler: SamplerName | GaussianSampler): GaussianSampler {
  return typeof sampler === "string" ? samplers[sampler]() : sampler;
}
