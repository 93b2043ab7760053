import { ShapeError } from "../errors.ts";
import { add } from "./ops/index.ts";
import type { Region } from "./tensor.ts";
import { Node, scalar, type Tensor, traceInRegion } from "./tensor.ts";

/**
 * Reverse-mode differentiation: extends the graph with the gradient of a scalar `loss` for each wanted tensor.
 * Only nodes that lie between a wanted tensor and the loss are visited, in reverse order of creation; what a
 * `checkpoint` holds, and what is cheap (`isCheap`), is computed again for its gradient.
 *
 * @throws {ShapeError} if the loss is no float32 scalar, or does not depend on one of the wanted tensors.
 */
export function grad(loss: Tensor, wanted: readonly Tensor[]): readonly Tensor[] {
  if (loss.rank !== 0 || loss.dtype !== "float32") {
    throw new ShapeError(
      "lossNotScalar",
      { loss: loss.toString() },
      `grad: the loss must be a float32 scalar, got ${loss}. Reduce it first, e.g. mean(loss).`,
    );
  }
  const cotangents = new Cotangents();
  cotangents.add(loss, scalar(1));
  const active = dependents(loss, wanted);
  const recomputation = new Recomputation();
  for (const node of [...active.nodes].reverse()) {
    const received = node.outputs.map((output) => cotangents.get(output));
    if (received.every((cotangent) => cotangent === undefined)) continue;
    const inputs = node.customGradient?.inputs ?? node.inputs;
    const { customGradient, ...live } = recomputation.of(node);
    const again = (tensor: Tensor): Tensor => recomputation.again(tensor);
    const args = { inputs: (customGradient?.inputs ?? live.inputs).map(again), outputs: live.outputs.map(again), cotangents: received };
    const gradients = customGradient?.vjp(args) ?? node.operator.vjp?.({ ...args, attributes: node.attributes }) ?? [];
    for (const [i, gradient] of gradients.entries()) {
      const target = inputs[i]!;
      if (gradient === undefined || !active.tensors.has(target)) continue;
      cotangents.add(target, gradient);
    }
  }
  return wanted.map((tensor) => {
    const gradient = cotangents.get(tensor);
    if (gradient !== undefined) return gradient;
    throw new ShapeError(
      "noGradient",
      { tensor: tensor.toString() },
      `grad: the loss does not depend on ${tensor}${tensor.source ? ` (a ${tensor.source.kind})` : ""}; leave it out of the wanted tensors.`,
    );
  });
}

/**
 * What each tensor receives from its consumers. It is added up when it is asked for and not before: nodes then stand behind all that they add, and the scheduler, which visits the last producer first, adds each part as soon
 * as it is there instead of holding all of them (see `createProgram`).
 */
class Cotangents {
  private readonly received = new Map<Tensor, Tensor[]>();

  add(tensor: Tensor, cotangent: Tensor): void {
    const parts = this.received.get(tensor);
    if (parts === undefined) this.received.set(tensor, [cotangent]);
    else parts.push(cotangent);
  }

  get(tensor: Tensor): Tensor | undefined {
    const parts = this.received.get(tensor);
    if (parts === undefined) return undefined;
    const sum = parts.reduce((a, b) => add(a, b));
    this.received.set(tensor, [sum]);
    return sum;
  }
}

/** Every node that `root` is computed from, producers first. */
export function ancestors(roots: readonly Tensor[]): Node[] {
  const found = new Set<Node>();
  const open = roots.flatMap((root) => root.producer ?? []);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    for (const input of node.inputs) if (input.producer !== undefined) open.push(input.producer);
  }
  return [...found].sort((a, b) => a.outputs[0]!.id - b.outputs[0]!.id);
}

/** The tensors that depend on a wanted one, and the nodes that compute them on the way to `loss`. */
function dependents(loss: Tensor, wanted: readonly Tensor[]): { tensors: Set<Tensor>; nodes: Node[] } {
  const tensors = new Set(wanted);
  const nodes = ancestors([loss]).filter((node) => {
    const depends = node.inputs.some((input) => tensors.has(input));
    if (depends) for (const output of node.outputs) tensors.add(output);
    return depends;
  });
  return { tensors, nodes };
}

/** Copies of nodes that the backward pass computes again, made as it asks for them: of checkpointed regions, and of cheap operators. */
class Recomputation {
  private readonly copies = new Map<Region, Map<Node, Node>>();
  private readonly cheapCopies = new Map<Node, Node>();

  /** The same value for the backward pass: computed again if it is cheap, or a reshape of what is. */
  again(tensor: Tensor): Tensor {
    const { producer } = tensor;
    if (producer === undefined || !(producer.isCheap || producer.operator.alias)) return tensor;
    const inputs = producer.inputs.map((input) => this.again(input));
    if (!producer.isCheap && inputs[0] === producer.inputs[0]) return tensor;
    const copy = this.cheapCopies.get(producer) ?? producer.withInputs(inputs);
    this.cheapCopies.set(producer, copy);
    return copy.outputs[tensor.index]!;
  }

  of(node: Node): Pick<Node, "inputs" | "outputs" | "customGradient"> {
    return node.region === undefined ? node : this.copy(node, node.region);
  }

  /** A node as it is computed again for the backward pass of a region in which it lies, directly or in one further in: there it will be computed once more. */
  private copy(node: Node, region: Region): Node {
    const known = this.copies.get(region) ?? new Map<Node, Node>();
    this.copies.set(region, known);
    let copy = known.get(node);
    if (copy === undefined) {
      const fresh = (tensor: Tensor): Tensor => this.tensor(tensor, region);
      copy = new Node(node.operator, node.inputs.map(fresh), node.attributes, node.outputs, { region: undefined, isCheap: node.isCheap });
      copy.customGradient = node.customGradient && { ...node.customGradient, inputs: node.customGradient.inputs.map(fresh) };
      known.set(node, copy);
    }
    return copy;
  }

  /** What a region sees of a tensor: computed again with it, or with the innermost region around it in which the tensor lies, or as it was. */
  private tensor(tensor: Tensor, region: Region): Tensor {
    const { producer } = tensor;
    for (let around: Region | undefined = region; around !== undefined; around = around.parent)
      if (liesIn(producer?.region, around)) return this.copy(producer!, around).outputs[tensor.index]!;
    return tensor;
  }
}

function liesIn(region: Region | undefined, around: Region): boolean {
  return region !== undefined && (region === around || liesIn(region.parent, around));
}

/**
 * Activation checkpointing (Chen et al. 2016): `checkpoint(f)(...inputs)` computes what f does, keeps only f's inputs and
 * outputs for the backward pass, and computes the rest again there. Random tensors that f uses are drawn once: the second
 * pass sees the same numbers. What lies in a checkpoint inside another one is computed three times, and not kept by either.
 */
export function checkpoint<A extends unknown[], R>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => traceInRegion(() => f(...args));
}
