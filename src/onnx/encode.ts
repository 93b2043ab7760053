import type { DType, HostArray, Node, OnnxForm, Program, Shape, Tensor, TensorType } from "../tensor/index.ts";
import { BatchSizes, type DynamicBatch } from "./batch.ts";
import { encodeAttribute, plainNode } from "./node.ts";
import * as schema from "./schema.ts";
import { MessageWriter } from "./wire.ts";

export interface TensorSpec extends TensorType {
  readonly name: string;
}

/** A program as ONNX bytes, with what a caller must know to run it. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface EncodeOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Passes the shapes that operators take as constants through a node each, so that ONNX Runtime cannot infer the
   * shapes of what they make. Where it knows two of the same shape, its CPU planner gives a dead buffer to a later
   * value and holds it all the time between (measured: a third of the peak of a checkpointed step); unknown shapes
   * are freed at their last use.
   */
  readonly hideShapes?: boolean;
  /** Values of inputs that are written into the file, by name, so that it takes the others only. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
  /** Leaves the number of items open: it is that of the first axis of the first input that has one. */
  readonly batch?: DynamicBatch;
}

/**
 * Writes a program as an ONNX model: constants become initializers; nodes keep their order; outputs are named on the
 * node that makes them.
 */
export function encodeModel(
  program: Program,
  { metadata = {}, hideShapes = false, weights = new Map(), batch }: EncodeOptions = {},
): OnnxModel {
  const inputs = program.inputs
    .filter(({ name }) => !weights.has(name))
    .map(({ name, tensor }) => ({ name, dtype: tensor.dtype, shape: tensor.shape }));
  const outputs = program.outputs.map(({ name, tensor }) => ({ name, dtype: tensor.dtype, shape: tensor.shape }));
  const names = valueNames(program);
  const initializers = new Initializers(hideShapes);
  const sizes = batch && new BatchSizes(program, batch, { add: (name, type, data) => initializers.add(name, type, data) });
  for (const tensor of program.constants) {
    if (tensor.source?.kind !== "constant" || sizes?.repeats(tensor, names.get(tensor)!)) continue;
    initializers.add(names.get(tensor)!, tensor, tensor.source.data);
  }
  for (const { name, tensor } of program.inputs) if (weights.has(name)) initializers.add(name, tensor, weights.get(name)!);
  const versions = new Map<string, number>([["", schema.opsetVersion]]);
  const nodes: MessageWriter[] = [];
  for (const [i, node] of program.nodes.entries()) {
    const form = node.operator.onnx(node.attributes, node.inputs, node.outputs);
    const domain = form.domain ?? "";
    versions.set(domain, Math.max(versions.get(domain) ?? 1, form.since ?? 1));
    const shapes = (form.constants ?? []).map((constant, k) => sizes?.constant(i, k) ?? initializers.shared(constant));
    nodes.push(encodeNode(node, form, `${node.operator.name}_${i}`, names, shapes));
  }
  const graph = new MessageWriter();
  for (const node of [...initializers.hiding, ...(sizes?.nodes ?? []), ...nodes]) graph.message(schema.graph.node, node);
  graph.text(schema.graph.name, "diffusion-blocks");
  for (const initializer of initializers.all()) graph.message(schema.graph.initializer, initializer);
  for (const spec of inputs) graph.message(schema.graph.input, encodeValueInfo(spec, sizes?.input(spec.name)));
  for (const spec of outputs) graph.message(schema.graph.output, encodeValueInfo(spec, sizes?.output(spec.name)));

  const model = new MessageWriter().varint(schema.model.irVersion, schema.irVersion).text(schema.model.producerName, "diffusion-blocks");
  model.message(schema.model.graph, graph);
  for (const [domain, version] of versions) {
    model.message(schema.model.opsetImport, new MessageWriter().text(schema.opset.domain, domain).varint(schema.opset.version, version));
  }
  for (const [key, value] of Object.entries(metadata)) {
    model.message(schema.model.metadata, new MessageWriter().text(schema.stringEntry.key, key).text(schema.stringEntry.value, value));
  }
  return { bytes: model.finish(), inputs, outputs };
}

function valueNames(program: Program): Map<Tensor, string> {
  const names = new Map<Tensor, string>();
  let count = 0;
  for (const tensor of program.constants) names.set(tensor, `constant_${count++}`);
  for (const node of program.nodes) for (const output of node.outputs) names.set(output, `value_${count++}`);
  for (const { name, tensor } of [...program.inputs, ...program.outputs]) names.set(tensor, name);
  return names;
}

function encodeNode(
  node: Node,
  form: OnnxForm,
  name: string,
  names: ReadonlyMap<Tensor, string>,
  shapes: readonly string[],
): MessageWriter {
  const out = new MessageWriter();
  for (const tensor of node.inputs) out.text(schema.node.input, names.get(tensor)!);
  for (const shape of shapes) out.text(schema.node.input, shape);
  for (const tensor of node.outputs) out.text(schema.node.output, names.get(tensor)!);
  out.text(schema.node.name, name).text(schema.node.opType, form.opType);
  for (const [key, value] of Object.entries(form.attributes ?? {})) {
    out.message(schema.node.attribute, encodeAttribute(key, value, form.floats?.includes(key) ?? false));
  }
  return form.domain ? out.text(schema.node.domain, form.domain) : out;
}

/** @param open names of the axes whose size is open, undefined for the others. */
function encodeValueInfo({ name, dtype, shape }: TensorSpec, open: readonly (string | undefined)[] = []): MessageWriter {
  const dimensions = new MessageWriter();
  for (const [axis, size] of shape.entries()) {
    const dimension = new MessageWriter();
    const symbol = open[axis];
    dimensions.message(
      schema.tensorShape.dimension,
      symbol === undefined ? dimension.varint(schema.dimension.value, size) : dimension.text(schema.dimension.parameter, symbol),
    );
  }
  const type = new MessageWriter()
    .varint(schema.tensorType.elementType, schema.dataType[dtype])
    .message(schema.tensorType.shape, dimensions);
  return new MessageWriter()
    .text(schema.valueInfo.name, name)
    .message(schema.valueInfo.type, new MessageWriter().message(schema.typeProto.tensorType, type));
}

/** Constant tensors of a graph; equal shape constants are written once. */
class Initializers {
  /** Nodes between shape constants and what uses them, where shapes are to be hidden. */
  readonly hiding: MessageWriter[] = [];
  private readonly hideShapes: boolean;
  private readonly written: MessageWriter[] = [];
  private readonly known = new Map<string, string>();

  constructor(hideShapes: boolean) {
    this.hideShapes = hideShapes;
  }

  add(name: string, { dtype, shape }: TensorType, data: HostArray): void {
    const out = new MessageWriter();
    for (const size of shape) out.varint(schema.tensor.dims, size);
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.written.push(
      out.varint(schema.tensor.dataType, schema.dataType[dtype]).text(schema.tensor.name, name).bytes(schema.tensor.rawData, raw),
    );
  }

  shared({ dtype, shape, data }: { dtype: DType; shape: Shape; data: readonly number[] }): string {
    const key = `${dtype}[${shape.join()}]=${data.join()}`;
    let name = this.known.get(key);
    if (name === undefined) {
      name = `shape_${this.known.size}`;
      this.known.set(key, name);
      const source = this.hideShapes ? `${name}_constant` : name;
      this.add(source, { dtype, shape }, dtype === "int64" ? BigInt64Array.from(data.map(BigInt)) : Float32Array.from(data));
      if (this.hideShapes) this.hiding.push(plainNode("Identity", [source], name));
    }
    return name;
  }

  all(): readonly MessageWriter[] {
    return this.written;
  }
}
