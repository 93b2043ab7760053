import { ShapeError } from "../errors.ts";
import type { TensorSpec } from "../onnx/index.ts";
import { type DType, type HostArray, showShape, sizeOf } from "../tensor/index.ts";

const constructors = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array } as const satisfies Record<
  DType,
  unknown
>;

/**
 * Checks that `array` can hold a tensor of `spec`, before ONNX Runtime sees it.
 *
 * @throws {ShapeError} naming the tensor, what was given and what is expected.
 */
export function checkHostArray(
  role: "input" | "output",
  { name, dtype, shape }: TensorSpec,
  array: HostArray,
  sharedAllowed: boolean,
): void {
  const expected = constructors[dtype];
  if (!(array instanceof expected)) {
    const given = (array as object | null | undefined)?.constructor?.name ?? String(array);
    throw new ShapeError(
      "arrayType",
      { role, name, dtype, given },
      `run: ${role} "${name}" is ${dtype}${showShape(shape)} and takes a ${expected.name}; a ${given} was given.`,
    );
  }
  const size = sizeOf(shape);
  if (array.length !== size) {
    throw new ShapeError(
      "arrayLength",
      { role, name, shape, given: array.length },
      `run: ${role} "${name}" is ${dtype}${showShape(shape)}, ${size} elements; the array given holds ${array.length}.`,
    );
  }
  if (!sharedAllowed && typeof SharedArrayBuffer === "function" && array.buffer instanceof SharedArrayBuffer) {
    throw new ShapeError(
      "sharedArray",
      { role, name },
      `run: ${role} "${name}" lies in a SharedArrayBuffer, which ONNX Runtime's Node binding refuses. Copy it into memory of its own.`,
    );
  }
}
