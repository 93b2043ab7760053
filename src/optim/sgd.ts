import { add, mul, sub } from "../tensor/index.ts";
import type { SgdStep } from "./kernels/index.ts";
import type { Optimizer } from "./optimizer.ts";

/** Stochastic gradient descent: m ← momentum·m + g + λp; p ← p − lr·m (weight decay as PyTorch's SGD has it: added to the gradient). */
export function sgd({ momentum = 0.9, weightDecay = 0 }: { readonly momentum?: number; readonly weightDecay?: number } = {}): Optimizer {
  return {
    name: "sgd",
    slots: ["m"],
    settings: (_, learningRate, gradScale) => ({ learningRate, momentum, weightDecay, gradScale }),
    updateHost: (kernels, value, gradient, [m], settings) => kernels.sgd(value, gradient, m!, settings as unknown as SgdStep),
    updateTraced: (value, gradient, [m], { learningRate, gradScale }) => {
      const next = add(mul(m!, momentum), add(mul(gradient, gradScale!), mul(value, weightDecay)));
      return { value: sub(value, mul(next, learningRate!)), slots: [next] };
    },
  };
}
