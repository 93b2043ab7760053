import { normalizeAxis, showShape, sizeOf } from "../shape.ts";
import type { Operator, Tensor } from "../tensor.ts";
import { applyOne, constantFrom, filled, withGradient } from "../tensor.ts";
import { cast, equal, exp, mul, neg, sub } from "./elementwise.ts";
import { expand, reshape } from "./movement.ts";
import { logSoftmax, reduceSum } from "./reduce.ts";

const gatherOperator: Operator<null> = {
  name: "gather",
  type: ([table, indices], _, fail) => {
    if (indices!.dtype !== "int32") return fail("indices must be int32.");
    if (table!.rank < 1) return fail("the table needs an axis.");
    return { dtype: table!.dtype, shape: [...indices!.shape, ...table!.shape.slice(1)] };
  },
  onnx: () => ({ opType: "Gather", attributes: { axis: 0 } }),
  vjp: ({ inputs: [table, indices], cotangents: [dy] }) => {
    const row = table!.shape.slice(1);
    const count = sizeOf(indices!.shape);
    return [scatterAddRows(table!.shape[0]!, reshape(indices!, [count]), reshape(dy!, [count, ...row])), undefined];
  },
};

/** Rows of a table: [rows, ...] by int32 indices of any shape -> [...indices, ...]. The gradient adds rows up where an index repeats. */
export function gather(table: Tensor, indices: Tensor): Tensor {
  return applyOne(gatherOperator, [table, indices], null);
}

const scatterOperator: Operator<null> = {
  name: "scatterAddRows",
  type: ([zeros]) => zeros!,
  onnx: () => ({ opType: "ScatterND", attributes: { reduction: "add" } }),
  vjp: ({ inputs: [, indices], cotangents: [dy] }) => [dy, undefined, gather(dy!, reshape(cast(indices!, "int32"), [indices!.shape[0]!]))],
};

/** A table of `rows` rows in which row i is the sum of the values whose index is i: [n] int32 and [n, ...] -> [rows, ...]. */
export function scatterAddRows(rows: number, indices: Tensor, values: Tensor): Tensor {
  const target = [rows, ...values.shape.slice(1)];
  const positions = reshape(cast(indices, "int64"), [indices.shape[0]!, 1]);
  return applyOne(
    scatterOperator,
    [
      expand(
        filled(
          0,
          target.map(() => 1),
        ),
        target,
      ),
      positions,
      values,
    ],
    null,
  );
}

const takeOperator: Operator<{ axis: number }> = {
  name: "takeAlong",
  type: ([x, indices], { axis }, fail) => {
    const fits = indices!.rank === x!.rank && indices!.shape.every((d, i) => i === axis || d === x!.shape[i]);
    if (indices!.dtype !== "int32" || !fits) return fail(`indices must be int32 and equal ${showShape(x!.shape)} but for axis ${axis}.`);
    return { dtype: x!.dtype, shape: indices!.shape };
  },
  onnx: ({ axis }) => ({ opType: "GatherElements", attributes: { axis } }),
  vjp: ({ inputs: [x, indices], cotangents: [dy], attributes: { axis } }) => [
    applyOne(
      putOperator,
      [
        expand(
          filled(
            0,
            x!.shape.map(() => 1),
          ),
          x!.shape,
        ),
        indices!,
        dy!,
      ],
      { axis },
    ),
    undefined,
  ],
};

const putOperator: Operator<{ axis: number }> = {
  name: "putAlong",
  type: ([zeros]) => zeros!,
  onnx: ({ axis }) => ({ opType: "ScatterElements", attributes: { axis, reduction: "add" } }),
};

/** Elements picked along one axis by int32 indices of the same rank: y[i][j] = x[i][indices[i][j]] for axis 1. */
export function takeAlong(x: Tensor, indices: Tensor, axis: number): Tensor {
  return applyOne(takeOperator, [x, indices], { axis: normalizeAxis(axis, x.rank) ?? axis });
}

const ranges = new Map<number, Tensor>();

/** 0 … length − 1, int32, one symbol for each length. */
function range(length: number): Tensor {
  const known = ranges.get(length) ?? constantFrom(() => Int32Array.from({ length }, (_, i) => i), [length], "int32");
  ranges.set(length, known);
  return known;
}

/** 1 where the class is the label, else 0: int32 [...] -> float32 [..., classes]. */
export function oneHot(labels: Tensor, classes: number): Tensor {
  return cast(equal(reshape(labels, [...labels.shape, 1]), range(classes)), "float32");
}

/**
 * Cross-entropy of integer labels, −log softmax(logits)[label], one for each item: [..., classes] and int32 [...] -> [...].
 * Gradient: (softmax(logits) − oneHot(label)) · dy.
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const classes = logits.shape.at(-1)!;
  const logProbabilities = logSoftmax(logits);
  return withGradient(
    [logits, labels, logProbabilities],
    () => neg(reduceSum(mul(logProbabilities, oneHot(labels, classes)), -1)),
    ({ inputs: [, , kept], cotangents: [dy] }) => [
      mul(sub(exp(kept!), oneHot(labels, classes)), reshape(dy!, [...labels.shape, 1])),
      undefined,
      undefined,
    ],
  );
}
