import type { Operator, Tensor } from "../tensor.ts";
import { applyOne, constant } from "../tensor.ts";
import { concat } from "./movement.ts";

const nothingOfOperator: Operator<null> = {
  name: "nothingOf",
  type: () => ({ dtype: "int64", shape: [0] }),
  onnx: () => ({ opType: "Shape", since: 15, attributes: { start: 0, end: 0 } }),
};

/** An empty int64 list that is there as soon as all of these tensors are: none of their dimensions. Reads no element of them. */
export function nothingOf(tensors: readonly Tensor[]): Tensor {
  return concat(
    tensors.map((tensor) => applyOne(nothingOfOperator, [tensor], null)),
    0,
  );
}

const afterOperator: Operator<null> = {
  name: "after",
  alias: true,
  type: ([x]) => x!,
  onnx: () => ({ opType: "Reshape" }),
};

/**
 * x itself, for a program's order of execution alone: what takes it runs after `nothing` is there (see {@link nothingOf}).
 * It is a reshape of x to its own shape with `nothing` put before, so no number is copied or read.
 */
export function after(x: Tensor, nothing: Tensor): Tensor {
  const shape = constant(BigInt64Array.from(x.shape.map(BigInt)), [x.rank], "int64");
  return applyOne(afterOperator, [x, concat([nothing, shape], 0)], null);
}
