import type { LayerMemory } from "../nn/index.ts";
import type { Optimizer } from "../optim/index.ts";
import { bytesOf, memoryProfile, programFlops, sizeOf, type Tensor } from "../tensor/index.ts";
import { gradientProgram, type TrainingMethod, type Unit } from "../train/index.ts";

/** Predicted memory of one unit's training step on the CPU, in bytes. */
export interface MemoryPlan {
  readonly unit: string;
  readonly parameters: number;
  readonly gradients: number;
  /** The optimiser's state, and the moving average where one is kept. */
  readonly optimizer: number;
  /** The largest sum of intermediate values alive at once, and the inputs of the step. */
  readonly activations: number;
  /** Multiplications and additions of the step's products and convolutions. */
  readonly flops: number;
  /** Operators of the step's program. */
  readonly nodes: number;
  /** All of these, the copies that the binding makes of each gradient, and what a session needs besides. */
  readonly peak: number;
}

export interface PlanOptions extends LayerMemory {
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  readonly ema: boolean;
}

/**
 * Memory of a process besides its tensors once it trains: pages of the engine's code, thread stacks and packing
 * buffers; and for each node of its graph what the engine's session and the JavaScript heap keep of it. These and the
 * share below are what fits the measured peaks of all models best, by least squares (`node bench/planError.mjs`).
 */
const processBytes = 45e6;
const nodeBytes = 4.9e3;
/** Peak resident memory over the sum of live values: gaps in the engine's arena. */
const arenaShare = 1.07;

/** Predicts the memory of a unit's step from its graph, without running anything. */
export function planUnit(method: TrainingMethod, unit: Unit, { batchSize, optimizer, ema, ...memory }: PlanOptions): MemoryPlan {
  const program = gradientProgram(method, unit, batchSize, memory);
  const gradients = floats(unit.trainable.values());
  const parameters = gradients + floats(unit.frozen.values());
  const inputs = program.inputs
    .filter(({ tensor }) => tensor.source?.kind !== "parameter")
    .reduce((sum, { tensor }) => sum + bytesOf(tensor), 0);
  const constants = program.constants.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const intermediates = memoryProfile(program).peakBytes;
  const session = processBytes + nodeBytes * program.nodes.length;
  const optimizerBytes = gradients * (optimizer.slots.length + (ema ? 1 : 0));
  return {
    unit: unit.name,
    parameters,
    gradients,
    optimizer: optimizerBytes,
    activations: intermediates + inputs,
    flops: programFlops(program),
    nodes: program.nodes.length,
    peak: Math.round(parameters + 2 * gradients + optimizerBytes + inputs + 2 * constants + arenaShare * intermediates + session),
  };
}

export interface BlocksPlan {
  /** Of the largest block: blocks are trained one after another, or each in a process of its own. */
  readonly peak: number;
  readonly perBlock: readonly MemoryPlan[];
}

export interface UnitsPlan {
  /** Of the process that trains them all in the way the method allows: one after another, or together. */
  readonly peak: number;
  readonly perUnit: readonly MemoryPlan[];
}

/**
 * Any method, unit by unit. Units that can be trained alone or in their order are in memory one at a time; the
 * finished parameters of those in order stay. Units that depend on each other take turns: each keeps the memory in
 * which it makes its steps, and parameters that several of them have are there once.
 */
export function planUnits(method: TrainingMethod, options: PlanOptions): UnitsPlan {
  const perUnit = planEach(method, options);
  if (method.order.kind !== "interleaved") return { peak: Math.max(...perUnit.map(({ peak }) => peak)), perUnit };
  const copies = 2 + options.optimizer.slots.length + (options.ema ? 1 : 0); // value, gradient, state
  const held = new Map<string, number>();
  let several = 0;
  for (const { trainable, frozen } of method.units) {
    for (const [path, tensor] of [...trainable, ...frozen]) {
      const bytes = (trainable.has(path) ? copies : 1) * floats([tensor]);
      const known = held.get(path) ?? 0;
      several += Math.min(known, bytes);
      held.set(path, Math.max(known, bytes));
    }
  }
  return { peak: perUnit.reduce((sum, { peak }) => sum + peak - processBytes, processBytes) - several, perUnit };
}

/** Of one process that trains one block after another. */
export function planBlocks(dblocks: TrainingMethod, options: PlanOptions): BlocksPlan {
  const perBlock = planEach(dblocks, options);
  return { peak: Math.max(...perBlock.map(({ peak }) => peak)), perBlock };
}

/** Units that train and read parameters of the same shapes have the same step: each is traced once. */
function planEach(method: TrainingMethod, options: PlanOptions): readonly MemoryPlan[] {
  const known = new Map<string, MemoryPlan>();
  return method.units.map((unit) => {
    const shapes = [unit.trainable, unit.frozen].map((tensors) => [...tensors.values()].map(({ shape }) => shape.join()));
    const key = JSON.stringify([unit.layerEvaluations, shapes]);
    const plan = known.get(key) ?? planUnit(method, unit, options);
    known.set(key, plan);
    return { ...plan, unit: unit.name };
  });
}

function floats(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}
