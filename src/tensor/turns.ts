import { after, nothingOf } from "./ops/index.ts";
import { type Region, regionsFrom, type Tensor } from "./tensor.ts";

/**
 * Makes the backward passes of regions wait for each other (see `inTurn`): a region waits for the sums of gradients to which the one
 * before it in the backward pass has given. Sums, not what was given: else a part of every parameter's gradient would
 * be there for each region until all are finished.
 */
export class Turns {
  /** Tensors outside a region whose gradients its backward pass adds to. */
  private readonly given = new Map<Region, Set<Tensor>>();
  private readonly turns = new Map<Region, Tensor>();
  private readonly waiting = new Map<Region, Map<Tensor, Tensor>>();

  private readonly sumOf: (tensor: Tensor) => Tensor | undefined;

  /** @param sumOf the sum of the gradients that a tensor has received so far. */
  constructor(sumOf: (tensor: Tensor) => Tensor | undefined) {
    this.sumOf = sumOf;
  }

  /** Notes that the backward pass of a node in `region` adds to the gradient of `target`. */
  gives(region: Region | undefined, target: Tensor): void {
    const around = new Set(regionsFrom(target.producer?.region));
    for (const one of regionsFrom(region)) {
      if (around.has(one)) return;
      const known = this.given.get(one);
      if (known === undefined) this.given.set(one, new Set([target]));
      else known.add(target);
    }
  }

  /** A tensor from outside as the backward pass of a region takes it: not before it is the region's turn. */
  entering(tensor: Tensor, region: Region | undefined): Tensor {
    if (tensor.producer === undefined) return tensor;
    for (const one of regionsFrom(region)) {
      const turn = this.turnOf(one);
      if (turn === undefined) continue;
      const known = this.waiting.get(one) ?? new Map<Tensor, Tensor>();
      this.waiting.set(one, known);
      const late = known.get(tensor) ?? after(tensor, turn);
      known.set(tensor, late);
      return late;
    }
    return tensor;
  }

  /** The gradient of an output of a node, which comes from outside where the output is one of a region. */
  cotangent(output: Tensor, gradient: Tensor | undefined): Tensor | undefined {
    if (gradient === undefined) return undefined;
    for (const one of regionsFrom(output.producer?.region)) if (one.outputs.has(output)) return this.entering(gradient, one);
    return gradient;
  }

  /** What is there when the region before in the backward pass is finished. */
  private turnOf({ next }: Region): Tensor | undefined {
    const given = next && this.given.get(next);
    if (given === undefined) return undefined;
    // Of what a node needs, ONNX Runtime first runs the last: the gradients that the backward pass comes upon first, which let go of most.
    const turn = this.turns.get(next!) ?? nothingOf([...given].reverse().flatMap((tensor) => this.sumOf(tensor) ?? []));
    this.turns.set(next!, turn);
    return turn;
  }
}
