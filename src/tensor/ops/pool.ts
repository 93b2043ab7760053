import type { Operator, Tensor } from "../tensor.ts";
import { applyOne } from "../tensor.ts";
import { cast, equal, mul } from "./elementwise.ts";

interface Squares {
  readonly size: number;
}

const maxPoolOperator: Operator<Squares> = {
  name: "maxPool2d",
  type: ([x], { size }, fail) => {
    if (x!.rank !== 4 || x!.dtype !== "float32") return fail("takes a float32 image [batch, channels, height, width].");
    const [batch, channels, height, width] = x!.shape as [number, number, number, number];
    if (height % size !== 0 || width % size !== 0) return fail(`height and width must be multiples of ${size}.`);
    return { dtype: "float32", shape: [batch, channels, height / size, width / size] };
  },
  onnx: ({ size }) => ({ opType: "MaxPool", attributes: { kernel_shape: [size, size], strides: [size, size] } }),
  vjp: ({ inputs: [x], outputs: [y], cotangents: [dy], attributes: { size } }) => [
    mul(repeatSquares(dy!, size), cast(equal(x!, repeatSquares(y!, size)), "float32")),
  ],
};

const repeatOperator: Operator<Squares> = {
  name: "repeatSquares",
  type: ([x], { size }) => {
    const [batch, channels, height, width] = x!.shape as [number, number, number, number];
    return { dtype: "float32", shape: [batch, channels, size * height, size * width] };
  },
  onnx: ({ size }) => ({
    opType: "Resize",
    attributes: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    constants: [
      { dtype: "float32", shape: [0], data: [] },
      { dtype: "float32", shape: [4], data: [1, 1, size, size] },
    ],
  }),
};

/** Every number as a square of size × size: [batch, channels, h, w] -> [batch, channels, size·h, size·w]. */
function repeatSquares(x: Tensor, size: number): Tensor {
  return applyOne(repeatOperator, [x], { size });
}

/**
 * The largest number of each square of size × size: [batch, channels, h, w] -> [batch, channels, h/size, w/size]. The
 * gradient goes to every number that equals it.
 */
export function maxPool2d(x: Tensor, size: number): Tensor {
  return applyOne(maxPoolOperator, [x], { size });
}
