import { encodeModel } from "../onnx/index.ts";
import { key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { type HostArray, hostArray, type Program, sizeOf } from "../tensor/index.ts";
import { gradientProgram, RandomFeeds, type TrainingMethod, type Unit } from "../train/index.ts";

/** A kind of operator in a step: how often it runs, and the time of all its nodes together. */
export interface OperatorTime {
  readonly operator: string;
  readonly nodes: number;
  readonly ms: number;
  /** Of the time of all nodes. */
  readonly share: number;
}

/** Matrix products and convolutions of one shape. */
export interface ProductTime extends OperatorTime {
  /** The shapes of the operands, "4224×128 · 128×512". */
  readonly shapes: string;
  readonly gflops: number;
}

/** Where the time of a step's graph goes. */
export interface StepProfile {
  /** Of the nodes of one step, without what lies between them. */
  readonly ms: number;
  /** Slowest first. */
  readonly operators: readonly OperatorTime[];
  readonly products: readonly ProductTime[];
  /** Share of what is neither matrix product nor convolution, nor attention in one operator. */
  readonly besideProducts: number;
}

/**
 * Runs the graph of a unit's step some times under ONNX Runtime's profiler, on numbers that mean nothing. The trace is written
 * when the program is disposed, as `trace`_date.json: Chrome's trace format, which Perfetto opens.
 *
 * @returns the program, whose nodes the trace names.
 */
export async function traceStepRuns(
  device: Device,
  { method, unit, batchSize, steps, trace }: { method: TrainingMethod; unit: Unit; batchSize: number; steps: number; trace: string },
): Promise<Program> {
  const program = gradientProgram(method, unit, batchSize);
  const executable = await device.compile(encodeModel(program, { hideShapes: true }), { profile: trace });
  const random = new RandomFeeds(program);
  const feeds: Record<string, HostArray> = {};
  for (const { name, tensor } of program.inputs) {
    const array = hostArray(tensor.dtype, sizeOf(tensor.shape));
    if (array instanceof Float32Array) for (let i = 0; i < array.length; i++) array[i] = 0.1 * Math.sin(i);
    feeds[name] = array;
  }
  for (let step = 0; step < steps; step++) await executable.run({ ...feeds, ...random.draw(key(`profile ${step}`)) });
  await executable.dispose();
  return program;
}

interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

const kernel = /^(.*)_(\d+)_kernel_time$/;

/**
 * The trace of some runs as times of operators; the first run, in which memory is taken, is not counted.
 *
 * @param trace the JSON that ONNX Runtime wrote.
 * @param program what it ran: a node's operations are those of the node of that number.
 */
export function readProfile(trace: string, program: Program): StepProfile {
  const events = JSON.parse(trace) as TraceEvent[];
  const runs = events.filter(({ name }) => name === "model_run");
  const [first, ...counted] = runs;
  const since = counted.length === 0 ? 0 : first!.ts + first!.dur;
  const steps = Math.max(1, counted.length);
  const kernels = events.filter(({ cat, name, ts }) => cat === "Node" && kernel.test(name) && ts >= since);
  const total = kernels.reduce((sum, { dur }) => sum + dur, 0);
  const operators = new Map<string, { nodes: number; us: number }>();
  const products = new Map<string, { operator: string; shapes: string; nodes: number; us: number; flops: number }>();
  let inProducts = 0;
  for (const { name, dur, args } of kernels) {
    const operator = args?.op_name ?? "?";
    const kind = operators.get(operator) ?? { nodes: 0, us: 0 };
    operators.set(operator, { nodes: kind.nodes + 1, us: kind.us + dur });
    const [, own, number] = kernel.exec(name)!;
    const node = program.nodes[Number(number)];
    if (node === undefined || node.operator.name !== own) continue; // what an encoding adds has no node
    const flops = node.operator.flops?.(node.inputs, node.outputs, node.attributes);
    if (flops === undefined && own !== "attention") continue;
    inProducts += dur;
    if (flops === undefined) continue;
    const shapes = node.inputs
      .slice(0, 2)
      .map(({ shape }) => shape.join("×"))
      .join(" · ");
    const form = node.operator.onnx(node.attributes, node.inputs, node.outputs).attributes ?? {};
    const turned = ["transA", "transB"].filter((side) => form[side] === 1).map((side) => `${side.at(-1)}ᵀ`);
    const title = `${shapes}${turned.length > 0 ? ` (${turned.join(", ")})` : ""}`;
    const known = products.get(operator + title) ?? { operator, shapes: title, nodes: 0, us: 0, flops: 0 };
    products.set(operator + title, { ...known, nodes: known.nodes + 1, us: known.us + dur, flops: known.flops + flops });
  }
  const figures = ({ nodes, us }: { nodes: number; us: number }) => ({ nodes: nodes / steps, ms: us / 1000 / steps, share: us / total });
  const slowest = (a: OperatorTime, b: OperatorTime): number => b.ms - a.ms;
  return {
    ms: total / 1000 / steps,
    operators: [...operators].map(([operator, kind]) => ({ operator, ...figures(kind) })).sort(slowest),
    products: [...products.values()]
      .map(({ operator, shapes, flops, ...kind }) => ({ operator, shapes, ...figures(kind), gflops: flops / kind.us / 1000 }))
      .sort(slowest),
    besideProducts: 1 - inProducts / total,
  };
}
