import { commonLength, type Kernels } from "./kernels.ts";

/**
 * The kernels in plain JavaScript: the definition that tests hold the WebAssembly ones against, and their substitute
 * where there is no WebAssembly SIMD. Arithmetic is float64, rounded once when stored, so results differ from the
 * WebAssembly kernels' by roundings of float32. About a fifth of their speed.
 */
export const referenceKernels: Kernels = {
  adamw(p, g, m, v, { learningRate, beta1, beta2, eps, weightDecay, bias1, bias2, gradScale }) {
    const n = commonLength("adamw", [p, g, m, v]);
    const keep = 1 - learningRate * weightDecay;
    const stepSize = learningRate / bias1;
    const root = 1 / Math.sqrt(bias2);
    for (let i = 0; i < n; i++) {
      const gradient = g[i]! * gradScale;
      const mean = beta1 * m[i]! + (1 - beta1) * gradient;
      const square = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
      m[i] = mean;
      v[i] = square;
      p[i] = p[i]! * keep - (stepSize * mean) / (Math.sqrt(square) * root + eps);
    }
  },
  sgd(p, g, m, { learningRate, momentum, weightDecay, gradScale }) {
    const n = commonLength("sgd", [p, g, m]);
    for (let i = 0; i < n; i++) {
      const velocity = momentum * m[i]! + gradScale * g[i]! + weightDecay * p[i]!;
      m[i] = velocity;
      p[i] = p[i]! - learningRate * velocity;
    }
  },
  sumSquares(x) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
    return sum;
  },
  axpy(y, x, a) {
    const n = commonLength("axpy", [y, x]);
    for (let i = 0; i < n; i++) y[i] = y[i]! + a * x[i]!;
  },
  lerp(ema, p, decay) {
    const n = commonLength("lerp", [ema, p]);
    for (let i = 0; i < n; i++) ema[i] = decay * ema[i]! + (1 - decay) * p[i]!;
  },
  scale(x, a) {
    for (let i = 0; i < x.length; i++) x[i] = x[i]! * a;
  },
  fill(x, a) {
    x.fill(a);
  },
};
