import { Node, type Region, regionsFrom, type Tensor, type Tensors, traceInRegion } from "./tensor.ts";
import type { Turns } from "./turns.ts";

/** Copies of the nodes that the backward pass computes again, made on demand: those of checkpointed regions and rematerialised ones. */
export class Recomputation {
  private readonly copies = new Map<Region, Map<Node, Node>>();
  private readonly rematerialised = new Map<Node, Node>();
  private readonly turns: Turns;

  constructor(turns: Turns) {
    this.turns = turns;
  }

  /** @returns what the gradient of a node is made from, as the backward pass has it. */
  of(node: Node): Pick<Node, "inputs" | "outputs" | "customGradient"> {
    const region = recomputedFrom(node.region);
    const seen = (tensor: Tensor): Tensor =>
      region === undefined ? this.turns.entering(tensor, node.region) : this.tensor(tensor, region);
    const again = (tensor: Tensor): Tensor => this.again(tensor, seen);
    const { customGradient } = node;
    return {
      inputs: node.inputs.map(again),
      outputs: node.outputs.map(again),
      customGradient: customGradient && { ...customGradient, inputs: customGradient.inputs.map(again) },
    };
  }

  /** The same value for the backward pass: computed again if it is rematerialised, or a reshape of such a value, from `seen` ones. */
  private again(tensor: Tensor, seen: (tensor: Tensor) => Tensor): Tensor {
    if (!isRemade(tensor)) return seen(tensor);
    const producer = tensor.producer!;
    const copy = this.rematerialised.get(producer) ?? producer.withInputs(producer.inputs.map((input) => this.again(input, seen)));
    this.rematerialised.set(producer, copy);
    return copy.outputs[tensor.index]!;
  }

  /**
   * A copy of a node for the backward pass of a region that holds it, directly or within an inner region; the backward
   * pass of an inner region computes it once more.
   */
  private copy(node: Node, region: Region): Node {
    const known = this.copies.get(region) ?? new Map<Node, Node>();
    this.copies.set(region, known);
    let copy = known.get(node);
    if (copy === undefined) {
      const fresh = (tensor: Tensor): Tensor => this.tensor(tensor, region);
      copy = new Node(node.operator, node.inputs.map(fresh), node.attributes, node.outputs, {
        region: undefined,
        isRematerialised: node.isRematerialised,
      });
      copy.customGradient = node.customGradient && { ...node.customGradient, inputs: node.customGradient.inputs.map(fresh) };
      known.set(node, copy);
    }
    return copy;
  }

  /** A tensor as seen from `region`: computed again with the innermost region around it that holds the tensor, or the tensor itself. */
  private tensor(tensor: Tensor, region: Region): Tensor {
    for (let around: Region | undefined = region; around !== undefined; around = recomputedFrom(around.parent))
      if (isInside(tensor, around)) return this.copy(tensor.producer!, around).outputs[tensor.index]!;
    return this.turns.entering(tensor, region);
  }
}

/** The innermost region around something that is computed again. */
function recomputedFrom(region: Region | undefined): Region | undefined {
  for (const one of regionsFrom(region)) if (one.isRecomputed) return one;
  return undefined;
}

/** Whether a region must be computed again to have a tensor: its outputs are kept, unless the backward pass makes them again anyway. */
function isInside(tensor: Tensor, region: Region): boolean {
  if (region.outputs.has(tensor) && !isRemade(tensor)) return false;
  for (const one of regionsFrom(tensor.producer?.region)) if (one === region) return true;
  return false;
}

function isRemade({ producer }: Tensor): boolean {
  return producer !== undefined && (producer.isRematerialised || (producer.operator.alias === true && isRemade(producer.inputs[0]!)));
}

/**
 * Activation checkpointing (Chen et al. 2016): `checkpoint(f)(...inputs)` computes f, keeps only f's inputs and outputs for
 * the backward pass, and computes the rest again there. Random tensors that f uses are drawn once: the second pass sees the
 * same numbers. Values of a checkpoint inside another one are computed three times and kept by neither.
 *
 * @returns a function with the arguments and results of f.
 */
export function checkpoint<A extends unknown[], R extends Tensors>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => traceInRegion(() => f(...args), { isRecomputed: true }).result;
}

/**
 * Traces parts that do not need each other, and whose backward passes follow each other, the last part first: a
 * part's is not begun before all that the next part gives to gradients is there, so that its passing values are there for one
 * part at a time. With `isRecomputed` each part is a checkpoint too.
 *
 * @returns what the parts return.
 */
export function inTurn<R extends Tensors>(parts: readonly (() => R)[], { isRecomputed }: Pick<Region, "isRecomputed">): R[] {
  if (parts.length === 1 && !isRecomputed) return [parts[0]!()];
  const traced = parts.map((part) => traceInRegion(part, { isRecomputed }));
  for (const [i, { region }] of traced.entries()) region.next = traced[i + 1]?.region;
  return traced.map(({ result }) => result);
}
