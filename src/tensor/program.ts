import { ShapeError } from "../errors.ts";
import { ancestors } from "./grad.ts";
import { identity } from "./ops/index.ts";
import type { Node, Tensor } from "./tensor.ts";

/** A traced graph, ready to be written: dead nodes are gone and the nodes stand in the order that ONNX Runtime's scheduler wants. */
export interface Program {
  readonly nodes: readonly Node[];
  /** Inputs, parameters and random tensors: all that must be fed. */
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
  readonly constants: readonly Tensor[];
}

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Replaces a node where a device needs another form of it: outputs for outputs, or undefined to leave it. */
export type Rewrite = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

export interface ProgramOptions {
  /** Names of parameters (paths in a network). Parameters without one are numbered. */
  readonly names?: ReadonlyMap<Tensor, string>;
  readonly rewrites?: readonly Rewrite[];
}

/**
 * Makes a program from named outputs. ONNX Runtime runs nodes by a reverse depth-first walk from the leaves, the last leaf
 * first; so nodes that make outputs stand last, in the order of `outputs`: with the loss first and the gradients in the order
 * of the forward pass, the last layer's gradients are computed first and every activation dies as early as it can.
 */
export function createProgram(
  outputs: Readonly<Record<string, Tensor>>,
  { names = new Map(), rewrites = [] }: ProgramOptions = {},
): Program {
  const rewritten = rewrite(Object.values(outputs), rewrites);
  const taken = new Set<Tensor>();
  const named = Object.keys(outputs).map((name, i) => {
    const tensor = rewritten[i]!;
    const own = tensor.producer === undefined || taken.has(tensor) ? identity(tensor) : tensor;
    taken.add(own);
    return { name, tensor: own };
  });
  const nodes = orderForScheduler(ancestors(named.map(({ tensor }) => tensor)), named);
  const sources = [...new Set(nodes.flatMap((node) => node.inputs.filter((tensor) => tensor.producer === undefined)))];
  return {
    nodes,
    inputs: nameInputs(sources, names),
    outputs: named,
    constants: sources.filter((tensor) => tensor.source?.kind === "constant"),
  };
}

/** Multiplications and additions of a program's products and convolutions. */
export function programFlops({ nodes }: Program): number {
  return nodes.reduce((sum, { operator, inputs, outputs, attributes }) => sum + (operator.flops?.(inputs, outputs, attributes) ?? 0), 0);
}

function orderForScheduler(nodes: readonly Node[], outputs: readonly NamedTensor[]): Node[] {
  const consumed = new Set(nodes.flatMap((node) => node.inputs));
  const last = [...new Set(outputs.map(({ tensor }) => tensor.producer!))].filter((node) =>
    node.outputs.every((output) => !consumed.has(output)),
  );
  const moved = new Set(last);
  return [...nodes.filter((node) => !moved.has(node)), ...last];
}

function nameInputs(sources: readonly Tensor[], names: ReadonlyMap<Tensor, string>): NamedTensor[] {
  const used = new Set<string>();
  let count = 0;
  return sources.flatMap((tensor) => {
    const { source } = tensor;
    if (source === undefined || source.kind === "constant") return [];
    const name = source.kind === "input" ? source.name : (names.get(tensor) ?? `${source.kind}.${count++}`);
    if (used.has(name))
      throw new ShapeError("duplicateInput", { name }, `createProgram: two inputs are called "${name}". Give them names of their own.`);
    used.add(name);
    return [{ name, tensor }];
  });
}

/** The outputs after every node was offered to the rewrites, producers first. */
function rewrite(outputs: readonly Tensor[], rewrites: readonly Rewrite[]): readonly Tensor[] {
  if (rewrites.length === 0) return outputs;
  const replaced = new Map<Tensor, Tensor>();
  const current = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  for (const node of ancestors(outputs)) {
    const inputs = node.inputs.map(current);
    const result = rewrites.reduce<readonly Tensor[] | undefined>((done, rule) => done ?? rule(node, inputs), undefined);
    const changed = inputs.some((tensor, i) => tensor !== node.inputs[i]);
    const next = result ?? (changed ? node.withInputs(inputs).outputs : node.outputs);
    for (const [i, output] of node.outputs.entries()) if (next[i] !== output) replaced.set(output, next[i]!);
  }
  return outputs.map(current);
}
