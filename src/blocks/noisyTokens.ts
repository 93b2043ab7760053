import type { Partition } from "../diffusion/index.ts";
import { standardNormal } from "../nn/index.ts";
import type { Key } from "../random.ts";
import { add, gather, matmul, mul, random, reduceSum, reshape, softmax, square, sub, type Tensor } from "../tensor/index.ts";
import type { LabelLikelihood } from "./labelLikelihood.ts";
import type { BatchLevels } from "./levels.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import type { TargetEmbedding, Targets } from "./targets.ts";

/** Options of denoising the embeddings of tokens, in order or by recurrent depth. */
export interface TokenDenoisingOptions {
  readonly partition: Partition;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a token's embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly labelLikelihood?: LabelLikelihood;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
}

/** Noisy embeddings of tokens. */
export interface NoisyTokens {
  /** [batch, tokens, width] */
  readonly z: Tensor;
  /** Of each item. */
  readonly levels: Pick<BatchLevels, "sigma" | "cIn" | "cNoise">;
}

/** Embeddings of the tokens of a batch with drawn noise, y + σε: [batch, tokens, width]. */
export function noisyTokens(tokens: Tensor, sigma: Tensor, targets: Targets, key: Key): Tensor {
  const y = gather(targets.table, tokens);
  return add(y, mul(overTokens(sigma), random(key, standardNormal, y.shape)));
}

/** The mean embedding D under the softmax of logits: [batch, tokens, vocabSize] -> [batch, tokens, width]. */
export function meanEmbedding(logits: Tensor, targets: Targets): Tensor {
  return matmul(softmax(logits), targets.table);
}

/** ‖D − y‖² of each token: [batch, tokens]. */
export function embeddingErrors(logits: Tensor, tokens: Tensor, targets: Targets): Tensor {
  return reduceSum(square(sub(meanEmbedding(logits, targets), gather(targets.table, tokens))), -1);
}

/** The mean over tokens and batch of losses [batch, tokens], each item weighted by its level. */
export function weightedTokenMean(losses: Tensor, { lossWeight }: Pick<BatchLevels, "lossWeight">, weighting: LossWeighting): Tensor {
  const [batch, tokens] = losses.shape as [number, number];
  return weightedMean(mul(reduceSum(losses, -1), 1 / tokens), reshape(lossWeight, [batch]), weighting);
}

/** [batch, 1] -> [batch, 1, 1] */
export function overTokens(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, 1]);
}
