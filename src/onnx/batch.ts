import { UsageError } from "../errors.ts";
import type { HostArray, Program, Tensor, TensorType } from "../tensor/index.ts";
import { plainNode } from "./node.ts";
import type { MessageWriter } from "./wire.ts";

/**
 * The same program for another number of items. Shapes are static in a program, so a file that takes any number is
 * written from two: a size that differs between them is read as a·batch + b, and computed in the file.
 */
export interface DynamicBatch {
  /** Items that the program is traced for, at least 2. */
  readonly items: number;
  readonly twin: Program;
  readonly twinItems: number;
}

interface InitializerSink {
  add(name: string, type: TensorType, data: HostArray): void;
}

const symbol = "batch";

/** The sizes of a program that grow with the number of items. */
export class BatchSizes {
  /** Nodes that compute them: they stand before all others. */
  readonly nodes: MessageWriter[] = [];
  readonly #program: Program;
  readonly #batch: DynamicBatch;
  readonly #sink: InitializerSink;
  readonly #known = new Map<string, string>();

  /** @throws {UsageError} if the two programs differ in more than sizes: such a program cannot leave its batch size open. */
  constructor(program: Program, batch: DynamicBatch, sink: InitializerSink) {
    this.#program = program;
    this.#batch = batch;
    this.#sink = sink;
    const { twin } = batch;
    const same =
      program.nodes.length === twin.nodes.length &&
      program.constants.length === twin.constants.length &&
      program.nodes.every((node, i) => {
        const other = twin.nodes[i]!;
        return node.operator.name === other.operator.name && attributesOf(program, i) === attributesOf(twin, i);
      });
    if (!same) throw refusal("its operators are others for another number of items");
    const source = program.inputs.find((_, i) => this.#sizesOf(program.inputs[i]!.tensor, twin.inputs[i]!.tensor)[0] === symbol);
    if (source === undefined) throw refusal("no input has the number of items as its first axis");
    this.nodes.push(plainNode("Shape", [source.name], symbol, { start: 0, end: 1 }));
  }

  /** Of each axis of an input, the name of an open size; undefined for the others. */
  input(name: string): readonly (string | undefined)[] {
    return this.#named("inputs", name);
  }

  output(name: string): readonly (string | undefined)[] {
    return this.#named("outputs", name);
  }

  /** The name of constant `k` of node `i` where it grows with the batch. */
  constant(i: number, k: number): string | undefined {
    const constantOf = ({ nodes }: Program) => {
      const { operator, attributes, inputs, outputs } = nodes[i]!;
      return operator.onnx(attributes, inputs, outputs).constants![k]!;
    };
    const [own, other] = [constantOf(this.#program), constantOf(this.#batch.twin)];
    if (own.data.every((value, at) => value === other.data[at])) return undefined;
    if (own.dtype !== "int64") throw refusal("a number in it depends on the number of items");
    return this.#computed(own.data, other.data);
  }

  /** Writes a constant of one repeated value whose shape grows with the batch. @returns whether it is such a constant. */
  repeats(tensor: Tensor, name: string): boolean {
    const other = this.#batch.twin.constants[this.#program.constants.indexOf(tensor)]!;
    if (tensor === other) return false;
    const [data, twinData] = [dataOf(tensor), dataOf(other)];
    if (tensor.shape.join() === other.shape.join()) {
      if (data.every((value, i) => value === twinData[i])) return false;
      throw refusal("a constant depends on the number of items");
    }
    const value = data[0]!;
    if (!(data.every((one) => one === value) && twinData.every((one) => one === value)))
      throw refusal("a constant holds different numbers for each item");
    this.#sink.add(`${name}_value`, { dtype: tensor.dtype, shape: [1] }, data.slice(0, 1));
    this.nodes.push(plainNode("Expand", [`${name}_value`, this.#computed(tensor.shape, other.shape)], name));
    return true;
  }

  #named(role: "inputs" | "outputs", name: string): readonly (string | undefined)[] {
    const [own, other] = [this.#program, this.#batch.twin].map((program) => program[role].find((one) => one.name === name)!.tensor);
    return this.#sizesOf(own!, other!);
  }

  #sizesOf(own: TensorType, other: TensorType): (string | undefined)[] {
    return own.shape.map((size, axis) => {
      if (size === other.shape[axis]) return undefined;
      const { slope, offset } = this.#line(size, other.shape[axis]!);
      const product = slope === 1 ? symbol : `${slope}*${symbol}`;
      return offset === 0 ? product : `${product} + ${offset}`;
    });
  }

  /** slope · batch + offset */
  #line(size: number, twinSize: number): { readonly slope: number; readonly offset: number } {
    const { items, twinItems } = this.#batch;
    const slope = (twinSize - size) / (twinItems - items);
    if (!Number.isInteger(slope)) throw refusal("a size in it is no multiple of the number of items");
    return { slope, offset: size - slope * items };
  }

  #computed(own: readonly number[], other: readonly number[]): string {
    const key = `${own.join()} ${other.join()}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = `size_${this.#known.size}`;
    this.#known.set(key, name);
    const lines = own.map((size, i) => this.#line(size, other[i]!));
    const vector = (suffix: string, values: readonly number[]): string => {
      this.#sink.add(`${name}_${suffix}`, { dtype: "int64", shape: [values.length] }, BigInt64Array.from(values.map(BigInt)));
      return `${name}_${suffix}`;
    };
    const slopes = vector(
      "slopes",
      lines.map(({ slope }) => slope),
    );
    const isProduct = lines.every(({ offset }) => offset === 0);
    this.nodes.push(plainNode("Mul", [slopes, symbol], isProduct ? name : `${name}_product`));
    if (!isProduct) {
      const offsets = vector(
        "offsets",
        lines.map(({ offset }) => offset),
      );
      this.nodes.push(plainNode("Add", [`${name}_product`, offsets], name));
    }
    return name;
  }
}

function attributesOf({ nodes }: Program, i: number): string {
  const { operator, attributes, inputs, outputs } = nodes[i]!;
  const { opType, attributes: own = {}, constants = [] } = operator.onnx(attributes, inputs, outputs);
  return JSON.stringify([opType, own, constants.map(({ shape }) => shape)]);
}

function dataOf({ source }: Tensor): HostArray & { every(f: (value: unknown, i: number) => boolean): boolean } {
  return (source as { readonly data: HostArray }).data as never;
}

function refusal(why: string): UsageError {
  return new UsageError("fixedBatch", { why }, `encodeModel: the program cannot be written for any number of items: ${why}.`);
}
