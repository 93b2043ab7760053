import { UsageError } from "../errors.ts";
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
 * buffers; and for each node of its graph what the engine's session and the JavaScript heap keep of it. Measured:
 * what remains of the peak of `dblocks train`, of small networks and of language models of 3,072 tokens
 * (bench/RESULTS.md).
 */
const processBytes = 57e6;
const nodeBytes = 11.5e3;
/** Peak resident memory over the sum of live values: gaps in the engine's arena; measured likewise. */
const arenaShare = 1.1;

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
  const perUnit = method.units.map((unit) => planUnit(method, unit, options));
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

export interface PlanReport {
  readonly endToEnd: MemoryPlan;
  readonly endToEndCheckpointing: MemoryPlan;
  readonly blocks: BlocksPlan;
  readonly blocksCheckpointing: BlocksPlan;
}

/** The four ways to train a network, side by side. @param whole the network as one unit. */
export function planReport(whole: TrainingMethod, dblocks: TrainingMethod, options: Omit<PlanOptions, "checkpointing">): PlanReport {
  const one = (checkpointing: boolean): MemoryPlan => planUnit(whole, whole.units[0]!, { ...options, checkpointing });
  const all = (checkpointing: boolean): BlocksPlan => planBlocks(dblocks, { ...options, checkpointing });
  return { endToEnd: one(false), endToEndCheckpointing: one(true), blocks: all(false), blocksCheckpointing: all(true) };
}

function planBlocks(dblocks: TrainingMethod, options: PlanOptions): BlocksPlan {
  const perBlock = dblocks.units.map((unit) => planUnit(dblocks, unit, options));
  return { peak: Math.max(...perBlock.map(({ peak }) => peak)), perBlock };
}

/** A way to train a network in so much memory and so many operations. */
export interface TradeOff {
  readonly numBlocks: number;
  readonly checkpointing: boolean;
  /** Batches of `batchSize` for each update. */
  readonly accumulate: number;
  readonly batchSize: number;
  /** Of one process that trains one block after another. */
  readonly peak: number;
  /** Of an update of every block, and of the largest block alone, which is what an update takes where each has a machine. */
  readonly flops: number;
  readonly flopsOfBlock: number;
}

/**
 * Every number of blocks that divides the layers, plain and with checkpointing, with the batch whole and in four parts: memory against
 * operations. One block is the whole network.
 */
export function tradeOffs(
  numLayers: number,
  methodWith: (numBlocks: number) => TrainingMethod,
  options: Omit<PlanOptions, "checkpointing">,
): readonly TradeOff[] {
  const rows: TradeOff[] = [];
  for (let numBlocks = 1; numBlocks <= numLayers; numBlocks++) {
    if (numLayers % numBlocks !== 0) continue;
    const method = methodWith(numBlocks);
    for (const accumulate of options.batchSize % 4 === 0 ? [1, 4] : [1]) {
      for (const checkpointing of [false, true]) {
        const batchSize = options.batchSize / accumulate;
        const { perBlock } = planBlocks(method, { ...options, batchSize, checkpointing });
        // The sum of the gradients of several batches is kept beside them.
        const peak = Math.max(...perBlock.map((block) => block.peak + (accumulate > 1 ? block.gradients : 0)));
        const flops = perBlock.map((block) => accumulate * block.flops);
        const total = flops.reduce((sum, one) => sum + one, 0);
        rows.push({ numBlocks, checkpointing, accumulate, batchSize, peak, flops: total, flopsOfBlock: Math.max(...flops) });
      }
    }
  }
  return rows;
}

export interface BudgetFit {
  readonly numBlocks: number;
  readonly checkpointing: boolean;
  readonly peak: number;
}

/**
 * The smallest number of blocks that fits a budget, plain if possible, else with checkpointing: quality falls with
 * the number of blocks (the paper's Tables 8, 10 and 11), so fewer are better, and checkpointing costs time only.
 *
 * @param methodWith the method with this many blocks; one block is the whole network.
 * @throws {UsageError} if nothing fits, naming the least that does.
 */
export function fitBudget(
  numLayers: number,
  budgetBytes: number,
  methodWith: (numBlocks: number) => TrainingMethod,
  options: Omit<PlanOptions, "checkpointing">,
): BudgetFit {
  let least = Number.POSITIVE_INFINITY;
  for (let numBlocks = 1; numBlocks <= numLayers; numBlocks++) {
    if (numLayers % numBlocks !== 0) continue;
    const method = methodWith(numBlocks);
    for (const checkpointing of [false, true]) {
      const { peak } = planBlocks(method, { ...options, checkpointing });
      least = Math.min(least, peak);
      if (peak <= budgetBytes) return { numBlocks, checkpointing, peak };
    }
  }
  throw new UsageError(
    "budget",
    { budgetBytes, least },
    `plan: nothing fits ${(budgetBytes / 1e6).toFixed(0)} MB; the least is ${(least / 1e6).toFixed(0)} MB, with ${numLayers} blocks and checkpointing. Lower the batch size (--batch) and use --accumulate.`,
  );
}

function floats(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}
