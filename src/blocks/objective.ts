import type { Context } from "../nn/index.ts";
import { add, crossEntropy, gather, mean, mul, reshape, type Tensor } from "../tensor/index.ts";
import type { TracedBatch } from "../train/index.ts";
import type { Block } from "./block.ts";
import type { NoiseLevels } from "./levels.ts";
import type { Targets } from "./targets.ts";

/** How samples are weighted: EDM's w(σ) for each sample, none, or the batch mean of w(σ) as the official code in effect does. */
export type LossWeighting = "edm" | "none" | "batch-mean";

/** What z = y + σε is made with: drawn in training, given where a result is to be compared with another implementation's. */
export interface TargetNoise {
  readonly levels: NoiseLevels;
  /** ε, [batch, width] */
  readonly epsilon: Tensor;
}

export interface DenoisingOptions {
  readonly block: Block;
  readonly targets: Targets;
  readonly weighting: LossWeighting;
  readonly checkpointing?: boolean;
}

/** The objective of a block, and what it is made of. */
export interface DenoisingLoss {
  /** [] */
  readonly loss: Tensor;
  /** [batch] */
  readonly crossEntropy: Tensor;
  /** [batch, classes] */
  readonly logits: Tensor;
}

/**
 * L_b = E[w(σ) · CE(D(y + σε, σ; x), label)] of one batch: what training minimises and what verification recomputes.
 *
 * @see DiffusionBlocks (arXiv 2506.14202), Equation 6; Section B for the cross-entropy in the place of the squared error.
 */
export function denoisingLoss(
  batch: TracedBatch,
  { levels, epsilon }: TargetNoise,
  context: Context,
  options: DenoisingOptions,
): DenoisingLoss {
  const { block, targets, weighting, checkpointing } = options;
  const y = gather(targets.table, batch.labels); // [batch, width]
  const z = add(y, mul(levels.sigma, epsilon));
  const { logits } = block.denoise(batch.input, z, levels, context, checkpointing);
  const losses = crossEntropy(logits, batch.labels);
  return { loss: weightedMean(losses, reshape(levels.lossWeight, losses.shape), weighting), crossEntropy: losses, logits };
}

/**
 * The mean loss of a batch, from losses and weights [batch]. `edm` is mean(w · CE); `batch-mean` is mean(w) · mean(CE): in the official code
 * the weights have shape [N, 1] and the losses [N], so that their product is [N, N].
 */
export function weightedMean(losses: Tensor, weights: Tensor, weighting: LossWeighting): Tensor {
  if (weighting === "none") return mean(losses);
  return weighting === "edm" ? mean(mul(losses, weights)) : mul(mean(losses), mean(weights));
}
