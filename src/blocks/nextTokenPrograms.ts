import type { BlockReadingInput, BlockReadingProgram, LevelName, NoisyTextInput, TokenDenoiserBlock } from "../inference/index.ts";
import { cachedProgram } from "../inference/index.ts";
import { plainContext } from "../nn/index.ts";
import { crossEntropy, type Tensor } from "../tensor/index.ts";
import { float32, int32, type PredictionProgram, predictionProgram } from "../train/index.ts";
import { behindCache, type ContextStreamBlock, plainPass, type StreamState } from "./contextStream.ts";
import type { Scores } from "./labelLikelihood.ts";
import { levelInputs } from "./levels.ts";
import { embeddingErrors, meanEmbedding } from "./noisyTokens.ts";

/** The prediction programs of a block of a language model. */
export interface NextTokenBlock extends TokenDenoiserBlock {
  /** −ln p of each token, [batch, length]: by the evidence alone, and together with what the noisy embedding tells. */
  readonly evidenceLoss: PredictionProgram<NoisyTextInput, "nats">;
  readonly loss: PredictionProgram<NoisyTextInput, "nats">;
  /** D, [batch, length, width] */
  readonly denoised: PredictionProgram<NoisyTextInput, "denoised">;
  readonly nextTokenLoss?: PredictionProgram<"tokens", "nats"> | undefined;
  /** Reads a group of tokens behind those that are kept, and estimates the next. */
  readonly next: BlockReadingProgram;
  readonly all: readonly PredictionProgram[];
}

/** A block's place in its network. */
export interface NextTokenPlacing {
  readonly name: string;
  readonly length: number;
  readonly width: number;
  readonly isFirst: boolean;
  readonly isStacked: boolean;
  /** Whether its context stream was trained to predict the next token. */
  readonly hasNextToken: boolean;
  /** Where its context stream starts. */
  startOf(tokens: Tensor): Tensor;
}

type NoisyText = Readonly<Record<NoisyTextInput, Tensor>>;

export function nextTokenPrograms(stream: ContextStreamBlock, placing: NextTokenPlacing): NextTokenBlock {
  const { name, length, width, hasNextToken, startOf } = placing;
  const { targets } = stream.options;
  const program = <Out extends string>(title: string, trace: (text: NoisyText) => Record<Out, Tensor>) =>
    predictionProgram<NoisyTextInput, Out>(
      title,
      (batchSize) => ({ tokens: int32(batchSize, length), z: float32(batchSize, length, width), ...levelInputs(batchSize) }),
      trace,
    );
  const estimated = ({ tokens, z, ...levels }: NoisyText): StreamState =>
    stream.streams(startOf(tokens), { z, levels }, plainPass).estimates;
  /** A function of the scores of each token, by name. */
  const perToken = <Out extends string>(title: string, out: Out, f: (scores: Scores, tokens: Tensor) => Tensor) =>
    program(`${name} ${title}`, (text) => {
      const { tokens, z, ...levels } = text;
      return { [out]: stream.ofScores(estimated(text), { z, levels }, tokens, f) } as Record<Out, Tensor>;
    });
  const ofContext = <Out extends string>(title: string, trace: (tokens: Tensor, context: StreamState) => Record<Out, Tensor>) =>
    predictionProgram<"tokens", Out>(
      `${name} ${title}`,
      (batchSize) => ({ tokens: int32(batchSize, length) }),
      ({ tokens }) => trace(tokens, stream.context(startOf(tokens), plainPass)),
    );
  const block = {
    estimate: program(name, (text) => ({ ...stream.scores(estimated(text), text.z, text.sigma) })),
    evidenceLoss: perToken("evidence loss", "nats", ({ evidence }, own) => crossEntropy(evidence, own)),
    loss: perToken("loss", "nats", ({ logits }, own) => crossEntropy(logits, own)),
    denoised: perToken("denoised", "denoised", ({ logits }) => meanEmbedding(logits, targets)),
    squaredError: perToken("squared error", "squaredError", ({ logits }, own) => embeddingErrors(logits, own, targets)),
    ...(hasNextToken && {
      nextToken: ofContext("next-token head", (_, context) => ({ logits: stream.nextToken(context) })),
      nextTokenLoss: ofContext("next-token loss", (tokens, context) => ({ nats: stream.nextTokenLosses(context, tokens) })),
    }),
  };
  const next = readingProgram(stream, placing);
  return { ...block, next, all: [...Object.values(block), next.program] };
}

/** One more group, read by a block, and the next one estimated. Stacked blocks but the first start from the state of the block before. */
function readingProgram(
  stream: ContextStreamBlock,
  { name, length, width, isFirst, isStacked, hasNextToken }: NextTokenPlacing,
): BlockReadingProgram {
  const { groupSize } = stream.options;
  return cachedProgram<BlockReadingInput, "evidence" | "logits" | "state">(
    `${name} next`,
    { part: stream.block.layers, length, groupSize },
    (batchSize) => ({
      before: int32(batchSize, groupSize),
      estimated: int32(1, groupSize),
      z: float32(batchSize, groupSize, width),
      below: float32(batchSize, groupSize, width),
      ...levelInputs(batchSize),
    }),
    (
      { before, estimated, z, below, ...levels }: Readonly<Record<BlockReadingInput, Tensor>> & Readonly<Record<LevelName, Tensor>>,
      cache,
    ) => {
      const start = isStacked && !isFirst ? below : stream.embed(before, { ...plainContext, positions: cache.positions });
      const patterns = behindCache(cache, groupSize === 1 ? cache.positions : estimated);
      const { context, estimates } = stream.streams(start, { z, levels }, plainPass, patterns);
      return {
        ...stream.scores(estimates, z, levels.sigma),
        state: context.state,
        ...(hasNextToken && { nextToken: stream.nextToken(context) }),
      };
    },
  );
}
