import { UsageError } from "../errors.ts";
import { add, div, mul, sqrt, square, sub } from "../tensor/index.ts";
import type { AdamWStep } from "./kernels/index.ts";
import type { Optimizer } from "./optimizer.ts";

export interface AdamWConfig {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** Decoupled: each step multiplies the parameter by 1 − learningRate · weightDecay. */
  readonly weightDecay?: number;
}

/**
 * AdamW with bias correction (Loshchilov & Hutter 2019), PyTorch's defaults:
 * m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; p ← p(1 − lr·λ) − lr · m̂/(√v̂ + ε).
 */
export function adamW({ beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01 }: AdamWConfig = {}): Optimizer {
  if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1))
    throw new UsageError("betas", { beta1, beta2 }, `adamW: betas are at least 0 and below 1, got ${beta1} and ${beta2}.`);
  return {
    name: "adamW",
    slots: ["m", "v"],
    settings: (update, learningRate, gradScale) => ({
      learningRate,
      beta1,
      beta2,
      eps,
      weightDecay,
      bias1: 1 - beta1 ** update,
      bias2: 1 - beta2 ** update,
      gradScale,
    }),
    updateHost: (kernels, value, gradient, [m, v], settings) => kernels.adamw(value, gradient, m!, v!, settings as unknown as AdamWStep),
    updateTraced: (value, gradient, [m, v], { learningRate, bias1, bias2, gradScale }) => {
      const g = mul(gradient, gradScale!);
      const mNext = add(mul(m!, beta1), mul(g, 1 - beta1));
      const vNext = add(mul(v!, beta2), mul(square(g), 1 - beta2));
      const direction = div(div(mNext, bias1!), add(sqrt(div(vNext, bias2!)), eps));
      const decayed = mul(value, sub(1, mul(learningRate!, weightDecay)));
      return { value: sub(decayed, mul(direction, learningRate!)), slots: [mNext, vNext] };
    },
  };
}
