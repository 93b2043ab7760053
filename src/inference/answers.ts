import type { MaskingPartition, NoiseLevels, Partition } from "../diffusion/index.ts";
import type { PredictionProgram } from "../train/index.ts";

/** The inputs by which programs are told noise levels, each [batch, 1]: see `levelsAt`. */
export type LevelName = keyof NoiseLevels<unknown>;

/** A classifier that denoises class embeddings: what prediction asks of it. */
export interface ClassDenoiser {
  readonly numClasses: number;
  /** Width of a class embedding. */
  readonly width: number;
  readonly partition: Partition;
  /** The embeddings, [classes, width]. */
  readonly table: PredictionProgram<never, "table">;
  /**
   * Of each block, from the input and a noisy embedding z [batch, width], logits [batch, classes]: `evidence` of the
   * input alone, `logits` of both together.
   */
  readonly estimates: readonly PredictionProgram<"input" | "z" | LevelName, "evidence" | "logits">[];
}

/** A network that denoises images, in blocks: what sampling asks of it. */
export interface ImageGenerator {
  /** 0 for images without classes. The label `numClasses` is the null label. */
  readonly numClasses: number;
  readonly imageShape: readonly [channels: number, height: number, width: number];
  readonly partition: Partition;
  /** Of each block, from noisy images z [batch, channels, height, width] and labels int32 [batch], the denoised images. */
  readonly estimates: readonly PredictionProgram<"z" | "labels" | LevelName, "denoised">[];
}

/** A masked diffusion model of text, in blocks: what sampling and likelihoods ask of it. */
export interface MaskedTextModel {
  /** Tokens that there are; the token `vocabSize` is the mask. */
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly partition: MaskingPartition;
  /** Of each block, from tokens int32 [batch, length], some of them masked, at times t [batch, 1], logits [batch, length, vocabSize]. */
  readonly estimates: readonly PredictionProgram<"tokens" | "t", "logits">[];
  /**
   * Of each block, from whole tokens, which of them are masked (bool [batch, length]), times and weights −α′/(1 − α),
   * each [batch, 1]: the weighted cross-entropy of the masked tokens [batch], in nats for each token of the sequence.
   */
  readonly bounds: readonly PredictionProgram<"tokens" | "masked" | "t" | "weight", "bound">[];
}
