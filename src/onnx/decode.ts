import { FormatError } from "../errors.ts";
import type { DType, Shape } from "../tensor/index.ts";
import type { TensorSpec } from "./encode.ts";
import * as schema from "./schema.ts";
import type { WireValue } from "./wire.ts";
import { readMessage } from "./wire.ts";

/** The content of an ONNX file as plain data: for checks, listings and the width of a feature network's output. */
export interface OnnxGraph {
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly nodes: readonly {
    readonly opType: string;
    readonly domain: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  readonly initializers: ReadonlyMap<string, { readonly dtype: DType | undefined; readonly shape: Shape; readonly raw: Uint8Array }>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Reads an ONNX model. A dimension without a fixed size reads as −1. @throws {FormatError} if the bytes are no ONNX model. */
export function decodeModel(bytes: Uint8Array): OnnxGraph {
  try {
    const model = fieldsOf(bytes);
    const graph = fieldsOf(one(model, schema.model.graph));
    return {
      opsets: Object.fromEntries(
        many(model, schema.model.opsetImport)
          .map(fieldsOf)
          .map((entry) => [text(entry, schema.opset.domain), int(entry, schema.opset.version)]),
      ),
      inputs: many(graph, schema.graph.input).map(decodeValueInfo),
      outputs: many(graph, schema.graph.output).map(decodeValueInfo),
      nodes: many(graph, schema.graph.node)
        .map(fieldsOf)
        .map((node) => ({
          opType: text(node, schema.node.opType),
          domain: text(node, schema.node.domain),
          inputs: many(node, schema.node.input).map(asText),
          outputs: many(node, schema.node.output).map(asText),
        })),
      initializers: new Map(
        many(graph, schema.graph.initializer)
          .map(fieldsOf)
          .map((tensor) => [text(tensor, schema.tensor.name), decodeTensor(tensor)]),
      ),
      metadata: Object.fromEntries(
        many(model, schema.model.metadata)
          .map(fieldsOf)
          .map((entry) => [text(entry, schema.stringEntry.key), text(entry, schema.stringEntry.value)]),
      ),
    };
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError("notOnnx", {}, `This is no ONNX model: ${(error as Error).message}.`, { cause: error });
  }
}

type Fields = ReadonlyMap<number, readonly WireValue[]>;

function fieldsOf(bytes: Uint8Array): Fields {
  const fields = new Map<number, WireValue[]>();
  for (const { field, value } of readMessage(bytes)) {
    const list = fields.get(field);
    if (list === undefined) fields.set(field, [value]);
    else list.push(value);
  }
  return fields;
}

function many(fields: Fields, field: number): Uint8Array[] {
  return (fields.get(field) ?? []).filter((value) => typeof value !== "bigint");
}

function one(fields: Fields, field: number): Uint8Array {
  const [value] = many(fields, field);
  if (value === undefined) throw new RangeError(`field ${field} is missing`);
  return value;
}

function int(fields: Fields, field: number): number {
  const [value] = fields.get(field) ?? [];
  return typeof value === "bigint" ? Number(value) : 0;
}

function asText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function text(fields: Fields, field: number): string {
  const [value] = many(fields, field);
  return value === undefined ? "" : asText(value);
}

function dtypeOf(code: number): DType | undefined {
  return (Object.keys(schema.dataType) as DType[]).find((dtype) => schema.dataType[dtype] === code);
}

function decodeValueInfo(bytes: Uint8Array): TensorSpec {
  const info = fieldsOf(bytes);
  const type = fieldsOf(one(fieldsOf(one(info, schema.valueInfo.type)), schema.typeProto.tensorType));
  const dimensions = many(type, schema.tensorType.shape).flatMap((shape) => many(fieldsOf(shape), schema.tensorShape.dimension));
  const shape = dimensions.map((dimension) =>
    fieldsOf(dimension).has(schema.dimension.value) ? int(fieldsOf(dimension), schema.dimension.value) : -1,
  );
  const dtype = dtypeOf(int(type, schema.tensorType.elementType));
  const name = text(info, schema.valueInfo.name);
  if (dtype === undefined)
    throw new FormatError(
      "unknownType",
      { name },
      `The ONNX value "${name}" has an element type that is not supported here (float32, int32, int64, bool are).`,
    );
  return { name, dtype, shape };
}

function decodeTensor(fields: Fields): { dtype: DType | undefined; shape: Shape; raw: Uint8Array } {
  const shape = (fields.get(schema.tensor.dims) ?? []).flatMap((value) =>
    typeof value === "bigint" ? [Number(value)] : [...packed(value)],
  );
  return { dtype: dtypeOf(int(fields, schema.tensor.dataType)), shape, raw: many(fields, schema.tensor.rawData)[0] ?? new Uint8Array() };
}

/** Repeated varints written as one length-delimited field, as most writers do. */
function* packed(bytes: Uint8Array): Generator<number> {
  let value = 0;
  let factor = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte >= 0x80) continue;
    yield value;
    value = 0;
    factor = 1;
  }
}
