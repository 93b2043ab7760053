import type { DType } from "../../src/tensor/dtype.ts";

/**
 * A minimal ONNX writer, independent of the library's own encoder, so that the runtime can be tested without it.
 * Writes the fields of onnx.proto3 that a flat graph needs; every number in a comment is a field number there.
 */
export interface TestModel {
  readonly inputs: readonly TestValue[];
  readonly outputs: readonly TestValue[];
  readonly nodes: readonly TestNode[];
  readonly opset?: number;
}
export interface TestValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}
export interface TestNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly ints?: Readonly<Record<string, number>>;
  readonly domain?: string;
}

/** `model` as the bytes of an ONNX ModelProto. */
export function onnxBytes({ inputs, outputs, nodes, opset = 17 }: TestModel): Uint8Array {
  const graph = [
    ...nodes.flatMap((node) => message(1, nodeProto(node))),
    ...text(2, "test"),
    ...inputs.flatMap((value) => message(11, valueInfo(value))),
    ...outputs.flatMap((value) => message(12, valueInfo(value))),
  ];
  const opsets = ["", "com.microsoft"].flatMap((domain) => message(8, [...text(1, domain), ...integer(2, domain === "" ? opset : 1)]));
  return Uint8Array.from([...integer(1, 8), ...message(7, graph), ...opsets]);
}

const elementType: Readonly<Record<DType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

function nodeProto({ op, inputs, outputs, ints = {}, domain = "" }: TestNode): number[] {
  const attributes = Object.entries(ints).flatMap(([name, value]) =>
    message(5, [...text(1, name), ...integer(3, value), ...integer(20, 2)]),
  );
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...attributes,
    ...text(7, domain),
  ];
}

function valueInfo({ name, dtype, shape }: TestValue): number[] {
  const dims = shape.flatMap((size) => message(1, integer(1, size)));
  return [...text(1, name), ...message(2, message(1, [...integer(1, elementType[dtype]), ...message(2, dims)]))];
}

const integer = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];
const message = (field: number, body: readonly number[]): number[] => [...varint(field * 8 + 2), ...varint(body.length), ...body];
const text = (field: number, value: string): number[] => message(field, [...new TextEncoder().encode(value)]);

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
