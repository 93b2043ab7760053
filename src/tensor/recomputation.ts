import { Node, type Region, type Tensor, traceInRegion } from "./tensor.ts";

/** Copies of the nodes that the backward pass computes again, made on demand: those of checkpointed regions and rematerialised ones. */
export class Recomputation {
  private readonly copies = new Map<Region, Map<Node, Node>>();
  private readonly rematerialised = new Map<Node, Node>();

  /** @returns the same value for the backward pass: computed again if it is rematerialised, or a reshape of such a value. */
  again(tensor: Tensor): Tensor {
    const { producer } = tensor;
    if (producer === undefined || !(producer.isRematerialised || producer.operator.alias)) return tensor;
    const inputs = producer.inputs.map((input) => this.again(input));
    if (!producer.isRematerialised && inputs[0] === producer.inputs[0]) return tensor;
    const copy = this.rematerialised.get(producer) ?? producer.withInputs(inputs);
    this.rematerialised.set(producer, copy);
    return copy.outputs[tensor.index]!;
  }

  /** @returns the node itself, or its copy if it lies in a checkpointed region. */
  of(node: Node): Pick<Node, "inputs" | "outputs" | "customGradient"> {
    return node.region === undefined ? node : this.copy(node, node.region);
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
 * Activation checkpointing (Chen et al. 2016): `checkpoint(f)(...inputs)` computes f, keeps only f's inputs and outputs for
 * the backward pass, and computes the rest again there. Random tensors that f uses are drawn once: the second pass sees the
 * same numbers. Values of a checkpoint inside another one are computed three times and kept by neither.
 *
 * @returns a function with the arguments and results of f.
 */
export function checkpoint<A extends unknown[], R>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => traceInRegion(() => f(...args));
}
