import type { DType } from "./dtype.ts";
import { bytesPerElement } from "./dtype.ts";

/** Static dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

export function bytesOf(type: TensorType): number {
  return sizeOf(type.shape) * bytesPerElement[type.dtype];
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** The shape that both broadcast to under NumPy's rule, or undefined if there is none. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) return undefined;
    out.push(da === 1 ? db : da);
  }
  return out;
}

/** Turns a possibly negative axis into 0 … rank − 1; undefined if it is out of range. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis;
  return Number.isInteger(positive) && positive >= 0 && positive < rank ? positive : undefined;
}
