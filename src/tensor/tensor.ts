import { ShapeError } from "../errors.ts";
import type { Key } from "../random.ts";
import type { DType, HostArray } from "./dtype.ts";
import type { Shape, TensorType } from "./shape.ts";
import { showShape, sizeOf } from "./shape.ts";
import { userLine } from "./userLine.ts";

/** Initial values of a parameter; a pure function of the key. */
export interface Initializer {
  readonly name: string;
  fill(out: Float32Array, key: Key, shape: Shape): void;
}

/** Numbers drawn anew at every step: a pure function of the key that the step hands in. */
export interface Sampler {
  readonly name: string;
  fill(out: HostArray, key: Key): void;
}

/** Where a tensor that no node computes comes from. */
export type Source =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "parameter"; readonly initializer: Initializer }
  | { readonly kind: "random"; readonly key: Key; readonly sampler: Sampler }
  | { readonly kind: "constant"; readonly data: HostArray };

let nextId = 0;

/**
 * A symbol in a graph: a dtype, a static shape, and what it comes from. Holds no numbers (constants aside).
 * Ids grow in the order of creation, so every producer has a smaller id than its consumers.
 */
export class Tensor implements TensorType {
  readonly id: number;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly origin: Node | Source;
  /** Index among the outputs of the producing node; 0 for a source. */
  readonly index: number;

  constructor(type: TensorType, origin: Node | Source, index = 0) {
    this.id = nextId++;
    this.dtype = type.dtype;
    this.shape = type.shape;
    this.origin = origin;
    this.index = index;
  }

  get producer(): Node | undefined {
    return this.origin instanceof Node ? this.origin : undefined;
  }

  get source(): Source | undefined {
    return this.origin instanceof Node ? undefined : this.origin;
  }

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.dtype}${showShape(this.shape)}`;
  }
}

export type AttributeValue = number | readonly number[] | string;

/** An application of an operator as one ONNX node. */
export interface OnnxForm {
  readonly opType: string;
  /** "" is ai.onnx; "com.microsoft" holds ONNX Runtime's own. */
  readonly domain?: string;
  /** The first version of ai.onnx that has this operator, where it is newer than graphs usually need. */
  readonly since?: number;
  /** Whole-number attributes are INT(S) unless listed in `floats`. */
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly floats?: readonly string[];
  /** Constants that ONNX takes as further inputs (shapes, axes, pads), after the tensors. */
  readonly constants?: readonly { readonly dtype: DType; readonly shape: Shape; readonly data: readonly number[] }[];
}

export interface VjpArguments<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** One for each output; undefined where nothing depends on that output. At least one is defined. */
  readonly cotangents: readonly (Tensor | undefined)[];
  readonly attributes: A;
}

/**
 * One for each input; undefined where no gradient flows (integers, masks). Where an input was broadcast, its cotangent may
 * have the broadcast shape: `grad` sums it.
 */
export type Cotangents = readonly (Tensor | undefined)[];

/** One operator: its type rule, its gradient and its ONNX form. No other place in the library mentions it. */
export interface Operator<A> {
  readonly name: string;
  type(inputs: readonly Tensor[], attributes: A, fail: (problem: string) => never): TensorType | readonly TensorType[];
  readonly onnx: (attributes: A, inputs: readonly Tensor[], outputs: readonly Tensor[]) => OnnxForm;
  readonly vjp?: (args: VjpArguments<A>) => Cotangents;
  /** Multiplications and additions, of products and convolutions: all else is one cheap pass over memory. */
  readonly flops?: (inputs: readonly Tensor[], outputs: readonly Tensor[], attributes: A) => number;
  /** The output shares the memory of input 0 (Reshape). */
  readonly alias?: boolean;
  /**
   * The backward pass computes the outputs again instead of keeping them: for operators of one cheap pass over memory
   * whose gradient needs their inputs anyway.
   */
  readonly isRematerialised?: boolean;
}

/** A gradient written by hand for a group of nodes, instead of the composition of their own. */
export interface CustomGradient {
  readonly inputs: readonly Tensor[];
  readonly vjp: (args: Omit<VjpArguments<undefined>, "attributes">) => Cotangents;
}

/** A stretch of the graph that the backward pass treats as one. */
export interface Region {
  /** The stretch in which this one lies. */
  readonly parent: Region | undefined;
  /** Whether its inner values are computed again in the backward pass instead of kept; its outputs are kept. */
  readonly isRecomputed: boolean;
  readonly outputs: Set<Tensor>;
  /** The stretch whose gradients are finished before the backward pass of this one begins. */
  next: Region | undefined;
}

/** One application of an operator. */
export class Node {
  readonly operator: Operator<unknown>;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly outputs: readonly Tensor[];
  readonly region: Region | undefined;
  /** Computed again in the backward pass instead of kept. */
  readonly isRematerialised: boolean;
  customGradient: CustomGradient | undefined;

  constructor(
    operator: Operator<unknown>,
    inputs: readonly Tensor[],
    attributes: unknown,
    types: readonly TensorType[],
    { region, isRematerialised }: Pick<Node, "region" | "isRematerialised">,
  ) {
    this.operator = operator;
    this.inputs = inputs;
    this.attributes = attributes;
    this.region = region;
    this.isRematerialised = isRematerialised;
    this.outputs = types.map((type, index) => new Tensor(type, this, index));
  }

  /** The same operator on other operands. */
  withInputs(inputs: readonly Tensor[]): Node {
    return new Node(this.operator, inputs, this.attributes, this.outputs, this);
  }
}

let currentRegion: Region | undefined;
let rematerialises = false;

/**
 * Rematerialisation: every node that `trace` creates is computed again in the backward pass instead of kept. It is for a few
 * cheap passes over values that are kept anyway. Unlike a checkpoint, its outputs are not kept either.
 *
 * @returns the result of `trace`.
 */
export function rematerialised<T>(trace: () => T): T {
  const outer = rematerialises;
  rematerialises = true;
  try {
    return trace();
  } finally {
    rematerialises = outer;
  }
}

/** One tensor, or several. */
export type Tensors = Tensor | readonly Tensor[];

/** Runs `trace` with every node that it creates marked as belonging to a region of its own, within the present one if there is one. */
export function traceInRegion<T extends Tensors>(
  trace: () => T,
  { isRecomputed }: Pick<Region, "isRecomputed">,
): { result: T; region: Region } {
  const parent = currentRegion;
  const region: Region = { parent, isRecomputed, outputs: new Set(), next: undefined };
  currentRegion = region;
  try {
    const result = trace();
    for (const tensor of [result].flat() as Tensor[]) region.outputs.add(tensor);
    return { result, region };
  } finally {
    currentRegion = parent;
  }
}

/** A region and those around it, from the inside out. */
export function* regionsFrom(region: Region | undefined): Generator<Region> {
  for (let one = region; one !== undefined; one = one.parent) yield one;
}

/**
 * Applies an operator: checks the types, adds a node, returns its outputs. A misuse names the operator, the shapes
 * and the user's line.
 */
export function apply<A>(operator: Operator<A>, inputs: readonly Tensor[], attributes: A): readonly Tensor[] {
  const fail = (problem: string): never => {
    const line = userLine();
    const data = { operator: operator.name, shapes: inputs.map((input) => input.shape), attributes, line };
    const where = line === undefined ? "" : ` At ${line}.`;
    throw new ShapeError("badOperands", data, `${operator.name}(${inputs.join(", ")}): ${problem}${where}`);
  };
  const types = operator.type(inputs, attributes, fail);
  const list = Array.isArray(types) ? (types as readonly TensorType[]) : [types as TensorType];
  const marks = { region: currentRegion, isRematerialised: rematerialises || operator.isRematerialised === true };
  return new Node(operator as Operator<unknown>, inputs, attributes, list, marks).outputs;
}

/** `apply` for operators with one output. */
export function applyOne<A>(operator: Operator<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  return apply(operator, inputs, attributes)[0]!;
}

/**
 * Gives the value of `forward(...inputs)` a gradient of its own, in place of the composition of its operators' gradients:
 * fewer passes over memory, or a form that keeps less. `forward` must return a tensor that it computes.
 */
export function withGradient(inputs: readonly Tensor[], forward: () => Tensor, vjp: CustomGradient["vjp"]): Tensor {
  const output = forward();
  if (output.producer === undefined) throw new Error("internal: withGradient needs a computed tensor");
  output.producer.customGradient = { inputs, vjp };
  return output;
}

/** A value that the caller feeds at every run. */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  return new Tensor({ dtype, shape }, { kind: "input", name });
}

/** A trainable tensor; its name is its place in the network's object (see `nn/parameters.ts`). */
export function parameter(shape: Shape, initializer: Initializer): Tensor {
  return new Tensor({ dtype: "float32", shape }, { kind: "parameter", initializer });
}

/** Fresh numbers at each step, made on the host from `key` and the step's own key. */
export function random(key: Key, sampler: Sampler, shape: Shape, dtype: DType = "float32"): Tensor {
  return new Tensor({ dtype, shape }, { kind: "random", key, sampler });
}

/** Numbers known when the graph is traced. */
export function constant(data: readonly number[] | HostArray, shape: Shape, dtype: DType = "float32"): Tensor {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError("badConstant", { length: data.length, shape }, `constant: ${data.length} values do not fill ${showShape(shape)}.`);
  }
  return new Tensor({ dtype, shape }, { kind: "constant", data: toHostArray(data, dtype) });
}

/** A constant whose numbers are made when they are first read: a plan of memory needs their shape alone. */
export function constantFrom(make: () => HostArray, shape: Shape, dtype: DType = "float32"): Tensor {
  let made: HostArray | undefined;
  const source: Source = {
    kind: "constant",
    get data() {
      made ??= make();
      return made;
    },
  };
  return new Tensor({ dtype, shape }, source);
}

function toHostArray(data: readonly number[] | HostArray, dtype: DType): HostArray {
  if (!Array.isArray(data)) return data as HostArray;
  switch (dtype) {
    case "float32":
      return Float32Array.from(data);
    case "int32":
      return Int32Array.from(data);
    case "int64":
      return BigInt64Array.from(data.map(BigInt));
    default:
      return Uint8Array.from(data);
  }
}

const scalars = new Map<number, Tensor>();

/** A float32 scalar, one symbol for each value. */
export function scalar(value: number): Tensor {
  let found = scalars.get(value);
  if (found === undefined) {
    found = constant([value], []);
    scalars.set(value, found);
  }
  return found;
}

const filledConstants = new Map<string, Tensor>();

/** A constant of one repeated value, one symbol for each shape and value. */
export function filled(value: number, shape: Shape): Tensor {
  const name = `${value}@${shape.join("x")}`;
  let found = filledConstants.get(name);
  if (found === undefined) {
    found = constant(new Float32Array(sizeOf(shape)).fill(value), shape);
    filledConstants.set(name, found);
  }
  return found;
}

/** Numbers stand for float32 scalars wherever an operator takes a tensor. */
export type Operand = Tensor | number;

export function toTensor(operand: Operand): Tensor {
  return typeof operand === "number" ? scalar(operand) : operand;
}
