import type { DType } from "../tensor/index.ts";

/** Field numbers of onnx.proto3, by message. */
export const model = { irVersion: 1, producerName: 2, producerVersion: 3, graph: 7, opsetImport: 8, metadata: 14 } as const;
export const opset = { domain: 1, version: 2 } as const;
export const graph = { node: 1, name: 2, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;
export const node = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const attribute = { name: 1, float: 2, int: 3, string: 4, floats: 7, ints: 8, type: 20 } as const;
export const attributeType = { float: 1, int: 2, string: 3, floats: 6, ints: 7 } as const;
export const tensor = { dims: 1, dataType: 2, name: 8, rawData: 9 } as const;
export const valueInfo = { name: 1, type: 2 } as const;
export const typeProto = { tensorType: 1 } as const;
export const tensorType = { elementType: 1, shape: 2 } as const;
export const tensorShape = { dimension: 1 } as const;
export const dimension = { value: 1, parameter: 2 } as const;
export const stringEntry = { key: 1, value: 2 } as const;

/** TensorProto.DataType */
export const dataType: Readonly<Record<DType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/**
 * The operator set that graphs are written for, unless an operator needs a newer one: from 22 on, WebGPU lacks
 * kernels for Sin and Cos.
 */
export const opsetVersion = 21;
/** The first version of the format that knows operator sets up to 23. */
export const irVersion = 11;
