import { add, mean, mul, type Tensor } from "../tensor/index.ts";

/** Weights of samples: EDM's w(σ) for each sample, none, or the batch mean of w(σ) as the official code in effect does. */
export type LossWeighting = "edm" | "none" | "batch-mean";

/**
 * The mean loss of a batch, from losses and weights [batch]. `edm` is mean(w · CE); `batch-mean` is mean(w) ·
 * mean(CE): in the official code the weights have shape [N, 1] and the losses [N], so that their product is [N, N].
 */
export function weightedMean(losses: Tensor, weights: Tensor, weighting: LossWeighting): Tensor {
  if (weighting === "none") return mean(losses);
  return weighting === "edm" ? mean(mul(losses, weights)) : mul(mean(losses), mean(weights));
}

/** The mean of tensors of one shape. */
export function meanOf(all: readonly Tensor[]): Tensor {
  return all.length === 1 ? all[0]! : mul(all.reduce(add), 1 / all.length);
}
