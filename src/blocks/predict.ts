import { blockOfSigma, equiProbabilityGrid, eulerStep, karrasGrid, type Partition, type SigmaRange } from "../diffusion/index.ts";
import { type Architecture, plainContext } from "../nn/index.ts";
import { fold, type Key, normal } from "../random.ts";
import { type HostArray, input, type Tensor } from "../tensor/index.ts";
import type { CallProgram } from "../train/index.ts";
import type { Block } from "./block.ts";
import { type Bridge, bridge } from "./bridge.ts";
import { fedLevels, levelFeeds } from "./levels.ts";
import type { Targets } from "./targets.ts";

/** How a class is predicted by denoising. */
export interface Sampling {
  /** Network evaluations; as many as blocks by default: one pass through all layers. */
  readonly numSteps: number | undefined;
  /**
   * Noise levels of the walk. `equi-probability` and `karras` run from sigmaMax to sigmaMin; `block-entry` asks each block once, just inside
   * the noisy end of its range.
   */
  readonly grid: "equi-probability" | "karras" | "block-entry";
  readonly bridge: Bridge;
  /** The answer: the last evaluation's logits, or the mean over the walk of what each evaluation says of the input alone. */
  readonly readout: "last" | "evidence";
}

/** Part of how predictions are made; the rest is as by default. */
export type SamplingOptions<Whole> = Partial<Omit<Whole, "numSteps">> & { readonly numSteps?: number | undefined };

/** One program for each block, from (input, z, levels) to its estimate; and the table of targets. */
export function predictionPrograms(
  architecture: Architecture,
  blocks: readonly Block[],
  targets: Targets,
  batchSize: number,
): Record<string, Record<string, Tensor>> {
  const { dtype, shape } = architecture.inputType(batchSize);
  const programs = blocks.map((block, b) => {
    const z = input("z", [batchSize, architecture.width]);
    return [`block-${b}`, { ...block.denoise(input("input", shape, dtype), z, fedLevels(batchSize), plainContext) }] as const;
  });
  return { targets: { table: targets.table }, ...Object.fromEntries(programs) };
}

/** The noise levels of a walk, descending. */
export function samplingGrid({ grid, numSteps }: Pick<Sampling, "grid" | "numSteps">, { noise, ranges }: Partition): readonly number[] {
  const steps = numSteps ?? ranges.length;
  if (grid === "karras") return karrasGrid(noise, steps);
  if (grid === "equi-probability") return equiProbabilityGrid(noise, steps);
  return ranges.map((range, b) => entryLevel(range, b));
}

/** The noisy end of a block's range. A boundary belongs to the noisier block: stand a hundredth of the range (in log sigma) below it. */
export function entryLevel([low, high]: SigmaRange, block: number): number {
  return block === 0 ? high : high * (low / high) ** 0.01;
}

export interface PredictWalk {
  readonly architecture: Architecture;
  readonly partition: Partition;
  readonly call: CallProgram;
  readonly input: HostArray;
  readonly batchSize: number;
  readonly key: Key;
  readonly sampling: Sampling;
  /** Noise levels to walk instead of the sampling's own. */
  readonly grid?: readonly number[];
  /** Standard normal numbers [batch, width] to start from instead of those that `key` gives. */
  readonly start?: Float32Array;
  /** Told of each evaluation: for inspection and verification. */
  readonly onStep?: (step: { sigma: number; block: number; logits: Float32Array; z: Float32Array }) => void;
}

/**
 * Classification by denoising: z starts as pure noise at the largest sigma; each step asks the block that owns sigma, turns its
 * logits into an estimate of the target and takes an Euler step to the next sigma; T levels are T evaluations and T − 1 steps.
 *
 * @returns class scores, [batch, classes]
 * @see DiffusionBlocks (arXiv 2506.14202), Figure 3.
 */
export async function predictWalk(walk: PredictWalk): Promise<Float32Array> {
  const { architecture, partition, call, input: items, batchSize, key, sampling, onStep } = walk;
  const { width, numClasses } = architecture;
  const grid = walk.grid ?? samplingGrid(sampling, partition);
  const { table } = await call("targets", {});
  const deviation = Math.sqrt(1 + grid[0]! ** 2);
  let z: Float32Array = (walk.start ?? standardNormalArray(fold(key, "start"), batchSize * width)).map((x) => x * deviation);
  const evidence = new Float32Array(batchSize * numClasses);
  let scores: Float32Array = evidence;
  for (const [i, sigma] of grid.entries()) {
    const block = blockOfSigma(partition, sigma);
    const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData);
    const estimate = await call(`block-${block}`, { input: items, z, ...levels });
    const logits = estimate.logits as Float32Array;
    onStep?.({ sigma, block, logits, z });
    for (const [j, score] of (estimate.evidence as Float32Array).entries()) evidence[j]! += score / grid.length;
    scores = logits;
    const sigmaNext = grid[i + 1];
    if (sigmaNext !== undefined)
      z = eulerStep({ z, denoised: bridge(sampling.bridge, logits, table as Float32Array, numClasses, fold(key, i)), sigma, sigmaNext });
  }
  return sampling.readout === "evidence" ? evidence : scores;
}

function standardNormalArray(key: Key, length: number): Float32Array {
  const out = new Float32Array(length);
  normal(key, out);
  return out;
}
