import type { Program } from "./program.ts";
import { bytesOf } from "./shape.ts";
import type { Node, Tensor } from "./tensor.ts";

/**
 * The order in which ONNX Runtime runs the nodes of a program: a depth-first walk backwards from the leaves. Leaves are pushed
 * in node order, so the last is visited first; of a node's producers the one that stands last is visited first; a node is
 * emitted after its producers.
 */
export function executionOrder(program: Program): Node[] {
  const position = new Map(program.nodes.map((node, i) => [node, i]));
  const consumed = new Set(program.nodes.flatMap((node) => node.inputs.flatMap((tensor) => tensor.producer ?? [])));
  const order: Node[] = [];
  const visited = new Set<Node>();
  const stack: { node: Node; leave: boolean }[] = program.nodes
    .filter((node) => !consumed.has(node))
    .map((node) => ({ node, leave: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.leave) {
      order.push(top.node);
      continue;
    }
    if (visited.has(top.node)) continue;
    visited.add(top.node);
    stack.push({ node: top.node, leave: true });
    const producers = [...new Set(top.node.inputs.flatMap((tensor) => tensor.producer ?? []))].sort(
      (a, b) => position.get(a)! - position.get(b)!,
    );
    for (const producer of producers) if (!visited.has(producer)) stack.push({ node: producer, leave: false });
  }
  return order;
}

export interface MemoryProfile {
  /** The largest sum of intermediate values alive at once, in bytes: inputs, parameters, constants and outputs excluded. */
  readonly peakBytes: number;
  /** Live bytes while each node runs, in execution order. */
  readonly liveBytes: readonly number[];
  /** The node at the peak. */
  readonly peakNode: Node | undefined;
}

/**
 * Simulates memory over a run: a value is born when its node runs and dies after its last consumer, or never if it
 * has none (one of several outputs that nobody wants); reshapes share their operand's memory. No node writes over its
 * operand: ONNX Runtime does so for few operators, and only where it knows shapes (see `EncodeOptions.hideShapes`).
 */
export function memoryProfile(program: Program): MemoryProfile {
  const order = executionOrder(program);
  const owner = new Map<Tensor, Tensor>();
  const root = (tensor: Tensor): Tensor => owner.get(tensor) ?? tensor;
  for (const node of order) if (node.operator.alias) owner.set(node.outputs[0]!, root(node.inputs[0]!));

  const outside = new Set<Tensor>(program.outputs.map(({ tensor }) => tensor));
  const lastUse = new Map<Tensor, number>();
  for (const [step, node] of order.entries()) {
    for (const tensor of node.inputs) lastUse.set(root(tensor), step);
  }
  const isHeld = (tensor: Tensor): boolean => root(tensor).producer !== undefined && !outside.has(tensor) && !outside.has(root(tensor));

  const liveBytes: number[] = [];
  let live = 0;
  for (const [step, node] of order.entries()) {
    const dying = [...new Set(node.inputs.map(root))].filter((tensor) => isHeld(tensor) && lastUse.get(tensor) === step);
    const born = node.operator.alias ? [] : node.outputs.filter(isHeld);
    const bornBytes = born.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    liveBytes.push(live + bornBytes);
    live += bornBytes - dying.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  }
  const peakBytes = liveBytes.reduce((a, b) => Math.max(a, b), 0);
  return { peakBytes, liveBytes, peakNode: order[liveBytes.indexOf(peakBytes)] };
}
