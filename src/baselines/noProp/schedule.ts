import { defineModule, initializers, type Module } from "../../nn/index.ts";
import {
  add,
  constant,
  div,
  exp,
  linear,
  mul,
  type Operand,
  parameter,
  sigmoid,
  softplus,
  square,
  sub,
  type Tensor,
} from "../../tensor/index.ts";

/** Of one step from z_{t−1} to z_t = a·û + b·z_{t−1} + √c·ε. */
export interface StepCoefficients {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/**
 * ᾱ_0 … ᾱ_T, ascending: the cosine schedule of Nichol & Dhariwal 2021 reversed in time, so that z_0 is noise and z_T nearly clean: ᾱ_t =
 * f(1 − t/T)/f(0), f(u) = cos²((u + s)/(1 + s) · π/2), s = 0.008, clamped to [1e−5, 0.999]. The upper clamp decides the size of the last
 * SNR difference.
 */
export function cosineAlphaBars(numSteps: number): readonly number[] {
  const f = (u: number): number => Math.cos((((u + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Array.from({ length: numSteps + 1 }, (_, t) => Math.min(0.999, Math.max(1e-5, f(1 - t / numSteps) / f(0))));
}

/**
 * The posterior of z_t given z_{t−1} and the clean û, with α = ᾱ_{t−1}/ᾱ_t (NoProp, Appendix A):
 * a = √ᾱ_t (1 − α)/(1 − ᾱ_{t−1}), b = √α (1 − ᾱ_t)/(1 − ᾱ_{t−1}), c = (1 − ᾱ_t)(1 − α)/(1 − ᾱ_{t−1}).
 */
export function stepCoefficients(alphaBarBefore: number, alphaBar: number): StepCoefficients {
  const alpha = alphaBarBefore / alphaBar;
  const rest = 1 - alphaBarBefore;
  return {
    a: (Math.sqrt(alphaBar) * (1 - alpha)) / rest,
    b: (Math.sqrt(alpha) * (1 - alphaBar)) / rest,
    c: ((1 - alphaBar) * (1 - alpha)) / rest,
  };
}

/** z_t = a·û + b·z_{t−1} + √c·ε, a sample of that posterior. */
export function posteriorSample(
  { u, z, epsilon }: { readonly u: Tensor; readonly z: Tensor; readonly epsilon: Tensor },
  { a, b, deviation }: { readonly a: Operand; readonly b: Operand /** √c */; readonly deviation: Operand },
): Tensor {
  return add(add(mul(a, u), mul(b, z)), mul(deviation, epsilon));
}

/** ᾱ/(1 − ᾱ) */
export function signalToNoise(alphaBar: number): number {
  return alphaBar / (1 - alphaBar);
}

/** A schedule at given times, all [batch, 1]. */
export interface ScheduleAt {
  /** −ln SNR */
  readonly gamma: Tensor;
  /** sigmoid(−γ) */
  readonly alphaBar: Tensor;
  /** dSNR/dt = −γ′ e^{−γ} */
  readonly slope: Tensor;
}

const hidden = 64;

/**
 * The learned schedule of NoProp-CT: γ(t) = γ₀ + (γ₁ − γ₀)(1 − γ̄(t)) with γ̄(t) = (γ̃(t) − γ̃(0))/(γ̃(1) − γ̃(0)) and γ̃(t) = Σ_j v_j
 * sigmoid(w_j t + b_j), v and w positive: SNR = e^{−γ} grows from e^{−γ₁} to e^{−γ₀}. γ̃′ is written out, for it is differentiated again.
 * γ₀ starts at −7, γ₁ at 7; both are trained. t: [batch, 1].
 */
export function learnedSchedule(): Module<(t: Tensor) => ScheduleAt> {
  const slopes = parameter([1, hidden], initializers.normal(1));
  const offsets = parameter([hidden], initializers.normal(1));
  const outputs = parameter([hidden, 1], initializers.normal(1));
  const clean = parameter([1], { name: "γ₀", fill: (out) => void out.fill(-7) });
  const noisy = parameter([1], { name: "γ₁", fill: (out) => void out.fill(7) });
  return defineModule({ slopes, offsets, outputs, clean, noisy }, (t: Tensor) => {
    const [w, v] = [softplus(slopes), softplus(outputs)];
    const activity = (time: Tensor): Tensor => sigmoid(linear(time, w, offsets)); // [batch, hidden]
    const [start, end] = [0, 1].map((time) => linear(activity(constant([time], [1, 1])), v));
    const span = sub(end!, start!);
    const at = activity(t);
    const rise = div(sub(linear(at, v), start!), span); // γ̄
    const riseSlope = div(linear(mul(sub(at, square(at)), w), v), span); // γ̄′
    const range = sub(noisy, clean);
    const gamma = add(clean, mul(range, sub(1, rise)));
    return { gamma, alphaBar: sigmoid(mul(gamma, -1)), slope: mul(mul(range, riseSlope), exp(mul(gamma, -1))) };
  });
}
