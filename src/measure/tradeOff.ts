import { UsageError } from "../errors.ts";
import type { TrainingMethod } from "../train/index.ts";
import { type BlocksPlan, type MemoryPlan, type PlanOptions, planBlocks } from "./plan.ts";

/** The method with so many blocks of a network of so many layers, each block being a unit; one block is the whole network. */
export type MethodOfSize = (numBlocks: number, numLayers: number) => TrainingMethod;

/** A network end to end and in blocks, of any number of layers. */
export interface NetworkPlans {
  readonly numLayers: number;
  readonly whole: MethodOfSize;
  readonly blocks: MethodOfSize;
}

export interface PlanReport {
  readonly endToEnd: MemoryPlan;
  readonly endToEndCheckpointing: MemoryPlan;
  readonly blocks: BlocksPlan;
  readonly blocksCheckpointing: BlocksPlan;
}

/** The four ways to train a network, side by side. */
export function planReport(
  { numLayers, whole, blocks }: NetworkPlans,
  numBlocks: number,
  options: Omit<PlanOptions, "checkpointing">,
): PlanReport {
  const [ofWhole, ofBlocks] = [new BlockPlans(whole), new BlockPlans(blocks)];
  const one = (checkpointing: boolean): MemoryPlan => {
    const [plan] = ofWhole.of(1, numLayers, { ...options, checkpointing });
    return { ...plan!, unit: whole(1, 1).units[0]!.name };
  };
  const all = (checkpointing: boolean): BlocksPlan => {
    const perBlock = ofBlocks.of(numBlocks, numLayers, { ...options, checkpointing });
    return { peak: Math.max(...perBlock.map(({ peak }) => peak)), perBlock };
  };
  return { endToEnd: one(false), endToEndCheckpointing: one(true), blocks: all(false), blocksCheckpointing: all(true) };
}

/** What every way of a trade-off has in common; `batchSize` is that of an update. */
export type TradeOffOptions = Pick<PlanOptions, "batchSize" | "optimizer" | "ema">;

/** A way to train a network in so much memory and so many operations. */
export interface TradeOff {
  readonly numBlocks: number;
  readonly checkpointing: boolean;
  readonly parts: number;
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
 * Memory against operations: every number of blocks that divides the layers, plain and with checkpointing, the batch whole and in
 * parts within a layer, and accumulated from smaller batches. Fewer blocks first, and of one number what is simplest first.
 */
export function tradeOffs(numLayers: number, methodOf: MethodOfSize, options: TradeOffOptions): readonly TradeOff[] {
  const plans = new BlockPlans(methodOf);
  const rows: TradeOff[] = [];
  for (let numBlocks = 1; numBlocks <= numLayers; numBlocks++) {
    if (numLayers % numBlocks !== 0) continue;
    for (const checkpointing of [false, true]) {
      for (const accumulate of [1, 4, 16]) {
        if (options.batchSize % accumulate !== 0) continue;
        const batchSize = options.batchSize / accumulate;
        for (const parts of new Set([1, Math.min(8, batchSize)])) {
          const perBlock = plans.of(numBlocks, numLayers, { ...options, batchSize, checkpointing, parts });
          // The sum of the gradients of several batches is kept beside them.
          const peak = Math.max(...perBlock.map((block) => block.peak + (accumulate > 1 ? block.gradients : 0)));
          const flops = perBlock.map((block) => accumulate * block.flops);
          const total = flops.reduce((sum, one) => sum + one, 0);
          rows.push({ numBlocks, checkpointing, parts, accumulate, batchSize, peak, flops: total, flopsOfBlock: Math.max(...flops) });
        }
      }
    }
  }
  return rows;
}

/** The rows that no other row beats or equals in memory, operations and number of blocks together. */
export function bestTradeOffs(rows: readonly TradeOff[]): readonly TradeOff[] {
  const worth = ({ peak, flops, numBlocks }: TradeOff): readonly number[] => [peak, flops, numBlocks];
  const beats = (a: TradeOff, b: TradeOff): boolean => worth(a).every((x, i) => x <= worth(b)[i]!);
  return rows.filter((row, i) => !rows.some((other, j) => j !== i && beats(other, row) && (j < i || !beats(row, other))));
}

/**
 * The way that fits a budget in the fewest operations; of equal ones the one with the fewest blocks, since quality falls with
 * their number (the paper's Tables 8, 10 and 11), and of those the simplest.
 *
 * @throws {UsageError} if nothing fits, naming the least that does.
 */
export function fitBudget(rows: readonly TradeOff[], budgetBytes: number): TradeOff {
  const fits = rows.filter(({ peak }) => peak <= budgetBytes);
  const [first, ...others] = fits;
  // Recombining a sum over parts changes a count of operations by less than this.
  if (first !== undefined) return others.reduce((best, row) => (row.flops < 0.999 * best.flops ? row : best), first);
  const least = Math.min(...rows.map(({ peak }) => peak));
  throw new UsageError(
    "budget",
    { budgetBytes, least },
    `plan: nothing fits ${(budgetBytes / 1e6).toFixed(0)} MB; the least is ${(least / 1e6).toFixed(0)} MB. Lower the batch (--batch) or the width.`,
  );
}

/** Layers of a block up to which its step is traced as it is. */
const tracedLayers = 4;

/**
 * Plans of blocks of many sizes. Layers are alike, so that memory and operations of a block that stands alone grow by
 * the same amount with each layer from the second on: a deep block is read off one of two layers and one of three.
 */
class BlockPlans {
  private readonly methodOf: MethodOfSize;
  private readonly methods = new Map<string, TrainingMethod>();
  private readonly plans = new Map<string, readonly MemoryPlan[]>();

  constructor(methodOf: MethodOfSize) {
    this.methodOf = methodOf;
  }

  /** Of each block. */
  of(numBlocks: number, numLayers: number, options: PlanOptions): readonly MemoryPlan[] {
    const each = numLayers / numBlocks;
    const isAlone = Number.isInteger(each) && this.method(numBlocks, numLayers).order.kind === "independent";
    if (!isAlone) return this.traced(numBlocks, numLayers, options);
    const own = Math.min(numBlocks, 2); // blocks that need nothing from each other are as large, however many there are
    const plansOf = (layers: number): readonly MemoryPlan[] => this.traced(own, own * layers, options);
    const plans = each <= tracedLayers ? plansOf(each) : deeper(plansOf(2), plansOf(3), each - 3);
    return Array.from({ length: numBlocks }, (_, b) => ({ ...plans[Math.min(b, own - 1)]!, unit: `block-${b}` }));
  }

  private traced(numBlocks: number, numLayers: number, options: PlanOptions): readonly MemoryPlan[] {
    const { batchSize, checkpointing, parts } = options;
    const key = [numBlocks, numLayers, batchSize, checkpointing, parts].join();
    const known = this.plans.get(key) ?? planBlocks(this.method(numBlocks, numLayers), options).perBlock;
    this.plans.set(key, known);
    return known;
  }

  private method(numBlocks: number, numLayers: number): TrainingMethod {
    const key = `${numBlocks} of ${numLayers}`;
    const known = this.methods.get(key) ?? this.methodOf(numBlocks, numLayers);
    this.methods.set(key, known);
    return known;
  }
}

/** Plans of `more` layers than the second has, which has one more than the first. */
function deeper(small: readonly MemoryPlan[], large: readonly MemoryPlan[], more: number): readonly MemoryPlan[] {
  return large.map((plan, b) => {
    const grown = (name: Exclude<keyof MemoryPlan, "unit">): number => plan[name] + more * (plan[name] - small[b]![name]);
    return {
      unit: plan.unit,
      parameters: grown("parameters"),
      gradients: grown("gradients"),
      optimizer: grown("optimizer"),
      activations: grown("activations"),
      flops: grown("flops"),
      nodes: grown("nodes"),
      peak: grown("peak"),
    };
  });
}
