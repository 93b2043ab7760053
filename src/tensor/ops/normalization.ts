import { sameShape, showShape } from "../shape.ts";
import type { Operator, Tensor } from "../tensor.ts";
import { apply, applyOne, filled } from "../tensor.ts";
import { add, div, mul, reciprocal, sqrt, square, sub } from "./elementwise.ts";
import { reduceMean, reduceSum } from "./reduce.ts";

const layerNormOperator: Operator<{ epsilon: number }> = {
  name: "layerNorm",
  isRematerialised: true,
  type: ([x, gain, bias], _, fail) => {
    const width = [x!.shape.at(-1) ?? 0];
    if (!sameShape(gain!.shape, width) || !sameShape(bias!.shape, width))
      fail(`gain ${showShape(gain!.shape)} and bias ${showShape(bias!.shape)} must be ${showShape(width)}.`);
    const rows = [...x!.shape.slice(0, -1), 1];
    return [x!, { dtype: "float32", shape: rows }, { dtype: "float32", shape: rows }];
  },
  onnx: ({ epsilon }) => ({ opType: "LayerNormalization", attributes: { axis: -1, epsilon }, floats: ["epsilon"] }),
  // With n = (x − mean)·r and g = dy·gain: dx = r (g − mean(g) − n·mean(g n)).
  vjp: ({ inputs: [x, gain, bias], outputs: [y, mean, inverseDeviation], cotangents: [dy] }) => {
    const isPlain = gain === filled(1, gain!.shape) && bias === filled(0, bias!.shape);
    const normal = isPlain ? y! : mul(sub(x!, mean!), inverseDeviation!);
    const g = isPlain ? dy! : mul(dy!, gain!);
    const centred = sub(sub(g, reduceMean(g, -1, true)), mul(normal, reduceMean(mul(g, normal), -1, true)));
    const dx = mul(centred, inverseDeviation!);
    return isPlain ? [dx] : [dx, mul(dy!, normal), dy];
  },
};

/**
 * (x − mean)/√(variance + epsilon) over the last axis, times gain plus bias (Ba et al. 2016); gain and bias are
 * [width], 1 and 0 by default.
 */
export function layerNorm(x: Tensor, { gain, bias, epsilon = 1e-6 }: { gain?: Tensor; bias?: Tensor; epsilon?: number } = {}): Tensor {
  const width = x.shape.at(-1) ?? 0;
  return apply(layerNormOperator, [x, gain ?? filled(1, [width]), bias ?? filled(0, [width])], { epsilon })[0]!;
}

const rmsNormOperator: Operator<{ epsilon: number }> = {
  name: "rmsNorm",
  isRematerialised: true,
  type: ([x, gain], _, fail) =>
    gain!.rank === 1 && gain!.shape[0] === x!.shape.at(-1) ? x! : fail(`the gain must be ${showShape([x!.shape.at(-1) ?? 0])}.`),
  onnx: ({ epsilon }) => ({ opType: "RMSNormalization", since: 23, attributes: { axis: -1, epsilon }, floats: ["epsilon"] }),
  // With n = x·r, r = 1/√(mean(x²) + epsilon), g = dy·gain: dx = r (g − n·mean(g n)).
  vjp: ({ inputs: [x, gain], cotangents: [dy], attributes: { epsilon } }) => {
    const r = reciprocal(sqrt(add(reduceMean(mul(x!, x!), -1, true), epsilon)));
    const normal = mul(x!, r);
    const g = mul(dy!, gain!);
    return [mul(r, sub(g, mul(normal, reduceMean(mul(g, normal), -1, true)))), mul(dy!, normal)];
  },
};

/** x/√(mean(x²) + epsilon) over the last axis, times gain (Zhang & Sennrich 2019). */
export function rmsNorm(x: Tensor, { gain, epsilon = 1e-5 }: { gain?: Tensor; epsilon?: number } = {}): Tensor {
  return applyOne(rmsNormOperator, [x, gain ?? filled(1, [x.shape.at(-1) ?? 0])], { epsilon });
}

/** Each row divided by its Euclidean norm: x/√(Σ x² + epsilon) over the last axis. */
export function l2Normalize(x: Tensor, epsilon = 1e-12): Tensor {
  return div(x, sqrt(add(reduceSum(square(x), -1, true), epsilon)));
}
