import type { Shape } from "../shape.ts";
import { broadcastShapes, normalizeAxis, sameShape, showShape, sizeOf } from "../shape.ts";
import type { Operator, Tensor } from "../tensor.ts";
import { apply, applyOne, filled } from "../tensor.ts";

const int64s = (data: readonly number[]) => ({ dtype: "int64" as const, shape: [data.length], data });

const reshapeOperator: Operator<{ shape: Shape }> = {
  name: "reshape",
  type: ([x], { shape }, fail) =>
    sizeOf(shape) === sizeOf(x!.shape)
      ? { dtype: x!.dtype, shape }
      : fail(`cannot become ${showShape(shape)}: ${sizeOf(x!.shape)} elements against ${sizeOf(shape)}.`),
  onnx: ({ shape }) => ({ opType: "Reshape", constants: [int64s(shape)] }),
  alias: true,
  vjp: ({ inputs: [x], cotangents: [dy] }) => [reshape(dy!, x!.shape)],
};

/** The same elements in the same order under another shape; costs nothing. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : applyOne(reshapeOperator, [x], { shape });
}

const transposeOperator: Operator<{ order: readonly number[] }> = {
  name: "transpose",
  type: ([x], { order }, fail) => {
    const isPermutation = order.length === x!.rank && [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
    return isPermutation
      ? { dtype: x!.dtype, shape: order.map((axis) => x!.shape[axis]!) }
      : fail(`${showShape(order)} is not an order of its ${x!.rank} axes.`);
  },
  onnx: ({ order }) => ({ opType: "Transpose", attributes: { perm: order } }),
  vjp: ({ cotangents: [dy], attributes: { order } }) => [
    transpose(
      dy!,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
};

/** Axes in another order: output axis i is input axis order[i]. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  return order.every((axis, i) => axis === i) && order.length === x.rank ? x : applyOne(transposeOperator, [x], { order });
}

/** The last two axes exchanged. */
export function swapLast(x: Tensor): Tensor {
  const order = x.shape.map((_, axis) => axis);
  return transpose(x, [...order.slice(0, -2), x.rank - 1, x.rank - 2]);
}

const expandOperator: Operator<{ shape: Shape }> = {
  name: "expand",
  type: ([x], { shape }, fail) => {
    const common = broadcastShapes(x!.shape, shape);
    return common !== undefined && sameShape(common, shape)
      ? { dtype: x!.dtype, shape }
      : fail(`cannot be broadcast to ${showShape(shape)}.`);
  },
  onnx: ({ shape }) => ({ opType: "Expand", constants: [int64s(shape)] }),
  vjp: ({ cotangents: [dy] }) => [dy],
};

/** x repeated along axes of length 1, and along new leading axes, to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : applyOne(expandOperator, [x], { shape });
}

const concatOperator: Operator<{ axis: number }> = {
  name: "concat",
  type: (inputs, { axis }, fail) => {
    const [first, ...rest] = inputs;
    if (normalizeAxis(axis, first!.rank) === undefined) return fail(`there is no axis ${axis}.`);
    for (const other of rest) {
      const fits =
        other.dtype === first!.dtype && other.rank === first!.rank && other.shape.every((d, i) => i === axis || d === first!.shape[i]);
      if (!fits) return fail(`shapes may differ along axis ${axis} only.`);
    }
    return {
      dtype: first!.dtype,
      shape: first!.shape.map((d, i) => (i === axis ? inputs.reduce((sum, x) => sum + x.shape[axis]!, 0) : d)),
    };
  },
  onnx: ({ axis }) => ({ opType: "Concat", attributes: { axis } }),
  vjp: ({ inputs, cotangents: [dy], attributes: { axis } }) =>
    split(
      dy!,
      inputs.map((x) => x.shape[axis]!),
      axis,
    ),
};

/** Tensors one after another along `axis`. */
export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  return inputs.length === 1 ? inputs[0]! : applyOne(concatOperator, inputs, { axis: normalizeAxis(axis, inputs[0]!.rank) ?? axis });
}

const splitOperator: Operator<{ sizes: readonly number[]; axis: number }> = {
  name: "split",
  type: ([x], { sizes, axis }, fail) => {
    const length = x!.shape[axis];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (length !== total) return fail(`sizes ${showShape(sizes)} add up to ${total}, axis ${axis} has ${length ?? "no length"}.`);
    return sizes.map((size) => ({ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? size : d)) }));
  },
  onnx: ({ sizes, axis }) => ({ opType: "Split", attributes: { axis }, constants: [int64s(sizes)] }),
  vjp: ({ outputs, cotangents, attributes: { axis } }) => [
    concat(
      outputs.map((part, i) => cotangents[i] ?? zerosLike(part)),
      axis,
    ),
  ],
};

/** x cut along `axis` into pieces of the given sizes. */
export function split(x: Tensor, sizes: readonly number[], axis: number): readonly Tensor[] {
  return sizes.length === 1 && sizes[0] === x.shape.at(axis)
    ? [x]
    : apply(splitOperator, [x], { sizes, axis: normalizeAxis(axis, x.rank) ?? axis });
}

interface SliceAttributes {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

const sliceOperator: Operator<SliceAttributes> = {
  name: "slice",
  type: ([x], { axis, start, end }, fail) => {
    const length = x!.shape[axis];
    if (length === undefined || start < 0 || end > length || start >= end)
      return fail(`there is no range ${start}..${end} along axis ${axis}.`);
    return { dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? end - start : d)) };
  },
  onnx: ({ axis, start, end }) => ({ opType: "Slice", constants: [int64s([start]), int64s([end]), int64s([axis])] }),
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { axis, start, end } }) => [
    pad(
      dy!,
      x!.shape.map((d, i) => (i === axis ? [start, d - end] : [0, 0])),
    ),
  ],
};

/** Elements start … end − 1 along one axis. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const normal = normalizeAxis(axis, x.rank) ?? axis;
  return start === 0 && end === x.shape[normal] ? x : applyOne(sliceOperator, [x], { axis: normal, start, end });
}

type Pads = readonly (readonly number[])[];

const padOperator: Operator<{ pads: Pads }> = {
  name: "pad",
  type: ([x], { pads }, fail) => {
    if (pads.length !== x!.rank || pads.flat().some((p) => p < 0))
      return fail(`needs [before, after] of at least 0 for each of ${x!.rank} axes.`);
    return { dtype: x!.dtype, shape: x!.shape.map((d, i) => d + pads[i]![0]! + pads[i]![1]!) };
  },
  onnx: ({ pads }) => ({ opType: "Pad", constants: [int64s([...pads.map((p) => p[0]!), ...pads.map((p) => p[1]!)])] }),
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { pads } }) => [
    pads.reduce((part, [before], axis) => slice(part, axis, before!, before! + x!.shape[axis]!), dy!),
  ],
};

/** Zeros before and after along each axis: pads[axis] = [before, after]. */
export function pad(x: Tensor, pads: Pads): Tensor {
  return pads.flat().every((p) => p === 0) && pads.length === x.rank ? x : applyOne(padOperator, [x], { pads });
}

function zerosLike(x: Tensor): Tensor {
  return expand(
    filled(
      0,
      x.shape.map(() => 1),
    ),
    x.shape,
  );
}
