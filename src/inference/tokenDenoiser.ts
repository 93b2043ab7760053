import type { Partition } from "../diffusion/index.ts";
import type { PredictionProgram } from "../train/index.ts";
import type { LevelName } from "./answers.ts";

/** Whole sequences: tokens int32 [batch, length], their noisy embeddings z [batch, length, width], levels. */
export type NoisyTextInput = "tokens" | "z" | LevelName;

/** Programs of a block that estimates each token from its noisy embedding and the tokens before it. */
export interface TokenDenoiserBlock {
  /**
   * Logits [batch, length, vocabSize]: `evidence` from the tokens before alone, `logits` together with what the noisy
   * embedding tells.
   */
  readonly estimate: PredictionProgram<NoisyTextInput, "evidence" | "logits">;
  /** ‖D − y‖² of each token, [batch, length]. */
  readonly squaredError: PredictionProgram<NoisyTextInput, "squaredError">;
  /** Logits [batch, length, vocabSize] of the next-token head; undefined where none was trained. */
  readonly nextToken?: PredictionProgram<"tokens", "logits"> | undefined;
}

/** A language model that denoises the embeddings of next tokens, as likelihoods and generation ask it. */
export interface TokenDenoiser<Block extends TokenDenoiserBlock = TokenDenoiserBlock> {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Width and length of a token's embedding. */
  readonly width: number;
  readonly targetScale: number;
  /** Tokens that are estimated together. */
  readonly groupSize: number;
  readonly partition: Partition;
  readonly blocks: readonly Block[];
  /** Of each block, its `estimate`. */
  readonly estimates: readonly Block["estimate"][];
  /** The blocks whose mean prediction is the model's. */
  readonly answering: readonly number[];
  /** The embeddings, [vocabSize, width]. */
  readonly table: PredictionProgram<never, "table">;
}

/** The answering blocks with a next-token head. */
export function nextTokenHeads({ blocks, answering }: Pick<TokenDenoiser, "blocks" | "answering">): readonly number[] {
  return answering.filter((b) => blocks[b]!.nextToken !== undefined);
}
