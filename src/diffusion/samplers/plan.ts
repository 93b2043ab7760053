import type { GaussianSampler } from "./euler.ts";
import { reverse } from "./reverse.ts";

/** A sum of values of a plan: Σ weight · values[index]. */
export type PlannedSum = readonly (readonly [index: number, weight: number])[];

/** A value of a plan: the noise that the process starts from, a sum of earlier values, or the estimate made of one. */
export type PlannedValue =
  | { readonly kind: "noise" }
  | { readonly kind: "sum"; readonly terms: PlannedSum }
  | { readonly kind: "estimate"; readonly of: number; readonly level: number };

/** A reverse process without its numbers. */
export interface ReversePlan {
  readonly values: readonly PlannedValue[];
  readonly end: PlannedSum;
}

export interface PlanOptions {
  readonly sampler: GaussianSampler;
  readonly levels: readonly number[];
  /** The state at levels[0] is this times the noise. */
  readonly startScale: number;
}

/**
 * What a sampler computes, as sums. A sampler of Gaussian noise treats every number of a state alike, and its states are sums of the
 * noise and of estimates. So it is run on the weights of these sums in the place of numbers: place i of a state holds the
 * weight of value i.
 *
 * @throws {PartitionError} unless the levels descend.
 */
export async function planReverse({ sampler, levels, startScale }: PlanOptions): Promise<ReversePlan> {
  let evaluations = 0;
  const count = (z: Float32Array): Float32Array => {
    evaluations++;
    return z;
  };
  await reverse(new Float32Array(1), { sampler, levels, estimate: count });
  const size = 1 + 2 * evaluations;
  const values: PlannedValue[] = [{ kind: "noise" }];
  /** Weights that stand for one value alone. */
  const add = (value: PlannedValue): Float32Array => {
    const weights = new Float32Array(size);
    weights[values.length] = 1;
    values.push(value);
    return weights;
  };
  const start = new Float32Array(size);
  start[0] = startScale;
  const end = await reverse(start, {
    sampler,
    levels,
    constrain: (state) => add({ kind: "sum", terms: termsOf(state) }),
    estimate: (state, level) => add({ kind: "estimate", of: state.indexOf(1), level }),
  });
  return { values, end: termsOf(end) };
}

function termsOf(weights: Float32Array): PlannedSum {
  return [...weights.entries()].filter(([, weight]) => weight !== 0);
}
