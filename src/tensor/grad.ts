import { ShapeError } from "../errors.ts";
import { add, gemm, reduceSum, reshape } from "./ops/index.ts";
import { Recomputation } from "./recomputation.ts";
import { type Shape, sameShape, sizeOf } from "./shape.ts";
import { filled, type Node, scalar, type Tensor } from "./tensor.ts";
import { Turns } from "./turns.ts";

/**
 * Reverse-mode differentiation: extends the graph with the gradient of a scalar `loss` for each wanted tensor.
 * Only nodes that lie between a wanted tensor and the loss are visited, in reverse order of creation. Nodes inside a
 * `checkpoint` and rematerialised nodes are computed again for their gradients. A gradient of a broadcast input is
 * summed over the axes along which it was broadcast, here and in no operator.
 *
 * @returns ∂loss/∂x for each wanted x, in the order of `wanted` and with the shape of x.
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
  const turns = new Turns((tensor) => cotangents.get(tensor));
  const recomputation = new Recomputation(turns);
  for (const node of [...active.nodes].reverse()) {
    const received = node.outputs.map((output) => turns.cotangent(output, cotangents.get(output)));
    if (received.every((cotangent) => cotangent === undefined)) continue;
    const inputs = node.customGradient?.inputs ?? node.inputs;
    const { customGradient, ...live } = recomputation.of(node);
    const args = { inputs: customGradient?.inputs ?? live.inputs, outputs: live.outputs, cotangents: received };
    const gradients = customGradient?.vjp(args) ?? node.operator.vjp?.({ ...args, attributes: node.attributes }) ?? [];
    for (const [i, gradient] of gradients.entries()) {
      const target = inputs[i]!;
      if (gradient === undefined || !active.tensors.has(target)) continue;
      cotangents.add(target, sumTo(gradient, target.shape));
      turns.gives(node.region, target);
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
 * The cotangents that each tensor receives from its consumers. They are added up on the first `get`, not before: the sums
 * then stand behind all their parts, and the scheduler, which visits the last producer first, adds each part as soon as it
 * is computed instead of holding all of them (see `createProgram`).
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

/** @returns every node that `roots` are computed from, producers first. */
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

/**
 * The sum of x over the axes along which `shape` was broadcast to x's shape: the gradient of broadcasting.
 * Over leading axes it is a product with a row of ones, several times faster than ReduceSum on the CPU.
 */
function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const isRow = shape.length > 0 && shape.every((dimension, axis) => dimension === x.shape[lead + axis]);
  if (isRow) {
    const columns = sizeOf(shape);
    const rows = sizeOf(x.shape) / columns;
    return reshape(gemm(filled(1, [1, rows]), reshape(x, [rows, columns])), shape);
  }
  const axes = x.shape.flatMap((dimension, axis) => (axis < lead || (shape[axis - lead] === 1 && dimension !== 1) ? [axis] : []));
  return reshape(reduceSum(x, axes), shape);
}
