import type { DType } from "../tensor/index.ts";

/**
 * The ONNX bytes of y = Identity(x) for tensors of one element type and any shape: the way onto and off a device,
 * because reading a native WebGPU tensor directly ends the process. Field numbers are those of onnx.proto3.
 */
export function identityModel(dtype: DType): Uint8Array {
  const value = (name: string): number[] => [...text(1, name), ...message(2, message(1, integer(1, elementType[dtype])))]; // no shape: any rank
  const node = [...text(1, "x"), ...text(2, "y"), ...text(4, "Identity")];
  const graph = [...message(1, node), ...text(2, "identity"), ...message(11, value("x")), ...message(12, value("y"))];
  const opset = integer(2, 17);
  return Uint8Array.from([...integer(1, 8), ...message(7, graph), ...message(8, opset)]);
}

const elementType: Readonly<Record<DType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

// Every number and every length here is below 128: one byte each.
const integer = (field: number, value: number): number[] => [field * 8, value];
const message = (field: number, body: readonly number[]): number[] => [field * 8 + 2, body.length, ...body];
const text = (field: number, value: string): number[] => message(field, [...new TextEncoder().encode(value)]);
