import {
  blockOfSigma,
  denoisedEstimate,
  entryLevel,
  levelsAt,
  type Partition,
  reverse,
  samplerOf,
  startState,
} from "../diffusion/index.ts";
import type { NoisyTextInput, TokenDenoiserBlock, TokenSampling } from "../inference/index.ts";
import { standardUniform } from "../nn/index.ts";
import { fold, type Key, normals } from "../random.ts";
import { filled, greater, input, random, reshape, type Tensor, where } from "../tensor/index.ts";
import type { Call, PredictionProgram } from "../train/index.ts";
import { type BatchLevels, constantLevels } from "./levels.ts";

/** z with its levels: where a block is asked. */
interface NoisyBatch {
  /** [batch, tokens, width] */
  readonly z: Tensor;
  readonly levels: BatchLevels;
}

export interface ScheduledShare {
  /** Share of the texts. */
  readonly share: number;
  readonly key: Key;
  readonly partition: Partition;
  /** The block that learns. */
  readonly block: number;
}

/**
 * Scheduled sampling (Bengio et al. 2015) over noise levels: a share of the texts of a batch start from the state
 * `reached` by the finished blocks before, at the noisy end of the block's range, in the place of true embeddings
 * with noise.
 */
export function withReachedStates({ z, levels }: NoisyBatch, { share, key, partition, block }: ScheduledShare): NoisyBatch {
  const batchSize = z.shape[0]!;
  const coin = random(fold(key, "handed"), standardUniform, [batchSize, 1]);
  const isReached = greater(filled(share, [batchSize, 1]), coin);
  const reached = constantLevels(entryLevel(partition.ranges[block]!, block), partition.noise, batchSize);
  const names = Object.keys(levels) as (keyof BatchLevels)[];
  return {
    z: where(reshape(isReached, [batchSize, 1, 1]), input("reached", z.shape), z),
    levels: Object.fromEntries(names.map((name) => [name, where(isReached, reached[name], levels[name])])) as unknown as BatchLevels,
  };
}

/** A block with its denoised estimate D, [batch, length, width]. */
interface EstimatingBlock extends Pick<TokenDenoiserBlock, "estimate"> {
  readonly denoised: PredictionProgram<NoisyTextInput, "denoised">;
}

export interface ReachedStates {
  readonly model: {
    readonly length: number;
    readonly width: number;
    readonly vocabSize: number;
    readonly partition: Partition;
    readonly blocks: readonly EstimatingBlock[];
    readonly table: PredictionProgram<never, "table">;
  };
  readonly sampling: Pick<TokenSampling, "sampler" | "estimate">;
  readonly call: Call;
  /** int32 [batch, length] */
  readonly tokens: Int32Array;
  /** The block whose range the reverse process enters. */
  readonly block: number;
  readonly key: Key;
}

/**
 * The reverse process from pure noise through the blocks before, one level for each, where every token is given the true ones before it.
 *
 * @returns the state at the noisy end of the block's range, [batch, length, width].
 */
export function reachedStates({ model, sampling, call, tokens, block, key }: ReachedStates): Promise<Float32Array> {
  const { length, width, vocabSize, partition, blocks } = model;
  const levels = partition.ranges.slice(0, block + 1).map(entryLevel);
  const noise = normals(fold(key, "walk"), tokens.length * width);
  return reverse(startState(noise, levels[0]!), {
    sampler: samplerOf(sampling.sampler),
    levels,
    estimate: async (z, sigma, evaluation) => {
      // The level that is reached is asked of the last finished block.
      const { denoised, estimate } = blocks[Math.min(blockOfSigma(partition, sigma), block - 1)]!;
      const feeds = { tokens, z, ...levelsAt(sigma, partition.noise, tokens.length / length) };
      if (sampling.estimate === "soft") return (await call(denoised, feeds)).denoised;
      const { logits } = await call(estimate, feeds);
      return denoisedEstimate(sampling.estimate, logits, (await call(model.table, {})).table, vocabSize, fold(key, evaluation));
    },
  });
}
