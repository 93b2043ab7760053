import type { Shape } from "../shape.ts";
import { normalizeAxis, showShape, sizeOf } from "../shape.ts";
import type { Operator, Tensor } from "../tensor.ts";
import { applyOne, withGradient } from "../tensor.ts";
import { cast, div, equal, exp, log, mul, sub } from "./elementwise.ts";
import { expand, reshape } from "./movement.ts";

interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

function reducedShape(shape: Shape, { axes, keepDims }: ReduceAttributes): number[] {
  return shape.flatMap((dimension, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dimension]));
}

/** The reduced tensor with its lost axes back as 1, so that it broadcasts against the operand. */
function restored(reduced: Tensor, operand: Tensor, axes: readonly number[]): Tensor {
  return reshape(reduced, reducedShape(operand.shape, { axes, keepDims: true }));
}

type ReduceGradient = (dy: Tensor, y: Tensor, x: Tensor, axes: readonly number[]) => Tensor;

function reduction(
  name: string,
  onnxName: string,
  gradient: ReduceGradient,
): (x: Tensor, axes?: number | readonly number[], keepDims?: boolean) => Tensor {
  const operator: Operator<ReduceAttributes> = {
    name,
    type: ([x], attributes, fail) => {
      if (x!.dtype !== "float32") fail("takes float32.");
      return { dtype: x!.dtype, shape: reducedShape(x!.shape, attributes) };
    },
    onnx: ({ axes, keepDims }) => ({
      opType: onnxName,
      attributes: { keepdims: keepDims ? 1 : 0 },
      constants: [{ dtype: "int64", shape: [axes.length], data: axes }],
    }),
    vjp: ({ inputs: [x], outputs: [y], cotangents: [dy], attributes: { axes } }) => [
      gradient(restored(dy!, x!, axes), restored(y!, x!, axes), x!, axes),
    ],
  };
  return (x, axes = x.shape.map((_, axis) => axis), keepDims = false) => {
    const list = (typeof axes === "number" ? [axes] : axes).map((axis) => normalizeAxis(axis, x.rank) ?? Number.NaN);
    if (list.some(Number.isNaN)) {
      applyOne(
        {
          ...operator,
          type: (_, __, fail) =>
            fail(`axes ${showShape(typeof axes === "number" ? [axes] : axes)} are not all axes of ${showShape(x.shape)}.`),
        },
        [x],
        { axes: [], keepDims },
      );
    }
    return list.length === 0 ? x : applyOne(operator, [x], { axes: [...list].sort((a, b) => a - b), keepDims });
  };
}

/** Sum over `axes` (all by default). */
export const reduceSum: ReturnType<typeof reduction> = reduction("reduceSum", "ReduceSum", (dy, _, x) => expand(dy, x.shape));

/** Mean over `axes` (all by default). */
export const reduceMean: ReturnType<typeof reduction> = reduction("reduceMean", "ReduceMean", (dy, y, x) =>
  expand(mul(dy, sizeOf(y.shape) / sizeOf(x.shape)), x.shape),
);

/** Largest value over `axes` (all by default); equal largest values share the gradient. */
export const reduceMax: ReturnType<typeof reduction> = reduction("reduceMax", "ReduceMax", (dy, y, x, axes) => {
  const hit = cast(equal(x, y), "float32");
  return mul(hit, div(dy, reduceSum(hit, axes, true)));
});

/**
 * Mean over all elements, in two stages: ONNX Runtime adds in one float32 accumulator, and half a million
 * values in one go lose four digits. Rows first, then the rest.
 */
export function mean(x: Tensor): Tensor {
  return x.rank < 2 ? reduceMean(x) : reduceMean(reduceMean(x, -1));
}

const softmaxOperator: Operator<{ axis: number }> = {
  name: "softmax",
  type: ([x], { axis }, fail) => (normalizeAxis(axis, x!.rank) === undefined ? fail(`there is no axis ${axis}.`) : x!),
  onnx: ({ axis }) => ({ opType: "Softmax", attributes: { axis } }),
  vjp: ({ outputs: [y], cotangents: [dy], attributes: { axis } }) => [mul(y!, sub(dy!, reduceSum(mul(dy!, y!), axis, true)))],
};

/** eˣ / Σ eˣ along `axis`; dx = y (dy − Σ y dy). */
export function softmax(x: Tensor, axis = -1): Tensor {
  return applyOne(softmaxOperator, [x], { axis });
}

/** x − max − ln Σ e^(x − max) along `axis`, never infinite for finite x; dx = dy − softmax(x) Σ dy. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return withGradient(
    [x],
    () => {
      const shifted = sub(x, reduceMax(x, axis, true));
      return sub(shifted, log(reduceSum(exp(shifted), axis, true)));
    },
    ({ outputs: [y], cotangents: [dy] }) => [sub(dy!, mul(exp(y!), reduceSum(dy!, axis, true)))],
  );
}

const cumulativeOperator: Operator<{ reverse: boolean }> = {
  name: "cumulativeSum",
  type: ([x], _, fail) => (x!.rank < 1 ? fail("needs an axis.") : x!),
  onnx: ({ reverse }, [x]) => ({
    opType: "CumSum",
    attributes: { reverse: reverse ? 1 : 0 },
    constants: [{ dtype: "int64", shape: [], data: [x!.rank - 1] }],
  }),
  vjp: ({ cotangents: [dy], attributes: { reverse } }) => [applyOne(cumulativeOperator, [dy!], { reverse: !reverse })],
};

/** Sums up to each place of the last axis, itself included: y[i] = x[0] + … + x[i]. Gradient: the sums from each place on. */
export function cumulativeSum(x: Tensor): Tensor {
  return applyOne(cumulativeOperator, [x], { reverse: false });
}
