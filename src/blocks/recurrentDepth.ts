import { entryLevel, type Partition, samplingLevels } from "../diffusion/index.ts";
import {
  cachedProgram,
  denoisingLikelihoods,
  exportedText,
  generate,
  type LevelName,
  type NoisyTextInput,
  placeNoise,
  RecurrentReader,
  type RecurrentReadingInput,
  type TokenDenoiser,
  type TokenDenoiserBlock,
  type TokenSampling,
} from "../inference/index.ts";
import {
  adaLNZero,
  type Context,
  type LayerMemory,
  noiseEmbedding,
  plainContext,
  precedingTokens,
  type RecurrentArchitecture,
  type Stage,
  throughStages,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { crossEntropy, mean, mul, reshape, type Tensor } from "../tensor/index.ts";
import {
  float32,
  independent,
  int32,
  type LanguageModel,
  ownedParameters,
  type PredictionProgram,
  predictionProgram,
} from "../train/index.ts";
import { type Scores, scoresOf } from "./labelLikelihood.ts";
import { drawnLevels, levelInputs } from "./levels.ts";
import { defaultTokenSampling } from "./nextTokens.ts";
import {
  embeddingErrors,
  type NoisyTokens,
  noisyTokens,
  overTokens,
  type TokenDenoisingOptions,
  weightedTokenMean,
} from "./noisyTokens.ts";
import { createTargets, targetTable } from "./targets.ts";

/** The partition has one range: the core denoises at every level. */
export interface RecurrentBlockOptions extends TokenDenoisingOptions {
  readonly sampling?: Partial<TokenSampling>;
}

/** A block with −ln p of each token by its logits. */
interface RecurrentDenoiser extends TokenDenoiserBlock {
  readonly loss: PredictionProgram<NoisyTextInput, "nats">;
}

/** Recurrent depth as a denoiser of next tokens. */
export interface RecurrentBlock extends LanguageModel, TokenDenoiser<RecurrentDenoiser> {
  readonly partition: Partition;
}

/**
 * Recurrent depth as denoising: the state is a noisy embedding of the next token, a recurrence is one estimate of it,
 * and a training step is one pass at one noise level instead of some thirty recurrences. Position i holds the
 * embedding of the tokens up to it and z of the next: the other z that it sees are of tokens that it knows, so that
 * no second stream is needed. A step from one estimate to the next is that of the sampler, Euler's by default.
 *
 * @see DiffusionBlocks (arXiv 2506.14202), Appendices B and E.5.
 */
export function convertRecurrent(architecture: RecurrentArchitecture, options: RecurrentBlockOptions): RecurrentBlock {
  const { partition, lossWeighting = "none", labelLikelihood = "exact", initialGate = 1, targetScale = 1 } = options;
  const { vocabSize, length, width, condWidth, epsilon, numLayers } = architecture;
  const { noise: training, ranges, trainingRanges } = partition;
  const { prelude, core, coda } = architecture.build(adaLNZero({ condWidth, epsilon, initialGate }));
  const noise = noiseEmbedding(condWidth, { activated: false });
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const sampling: TokenSampling = { ...defaultTokenSampling, numSteps: 32, ...options.sampling };
  const unit = {
    name: "block-0",
    trainable: new Map([
      ...ownedParameters("block-0", { parts: { prelude, noise, core, coda } }),
      ...(targets.parameter ? [["block-0/targets", targets.parameter] as const] : []),
    ]),
    frozen: new Map(),
    constants: new Map(targets.parameter ? [] : [["targets", targets.table] as const]),
    layerEvaluations: numLayers,
  };

  /** Scores of tokens from those before, int32 [batch, tokens], and their noisy embeddings. */
  const estimate = (before: Tensor, { z, levels }: NoisyTokens, base: Context, memory?: LayerMemory): Scores => {
    const context = { ...base, condition: noise(reshape(levels.cNoise, [z.shape[0]!])) };
    const stages: readonly Stage[] = [
      ([state], [embedded, condition]) => [core(state!, embedded!, { ...base, condition })],
      ([state], [, condition]) => [coda(state!, { ...base, condition })],
    ];
    const values = { states: [mul(overTokens(levels.cIn), z)], items: [prelude(before, context), context.condition] };
    const [evidence] = throughStages(stages, values, memory) as [Tensor];
    return scoresOf(evidence, z, overTokens(levels.sigma), { targets, labelLikelihood });
  };

  const program = <Out extends string>(title: string, of: (scores: Scores, tokens: Tensor) => Record<Out, Tensor>) =>
    predictionProgram<NoisyTextInput, Out>(
      title,
      (batchSize) => ({ tokens: int32(batchSize, length), z: float32(batchSize, length, width), ...levelInputs(batchSize) }),
      ({ tokens, z, ...levels }) => of(estimate(precedingTokens(tokens, vocabSize), { z, levels }, plainContext), tokens),
    );
  const block = {
    estimate: program("block-0", (scores) => ({ ...scores })),
    loss: program("block-0 loss", ({ logits }, own) => ({ nats: crossEntropy(logits, own) })),
    squaredError: program("block-0 squared error", ({ logits }, own) => ({ squaredError: embeddingErrors(logits, own, targets) })),
  };
  const next = cachedProgram<RecurrentReadingInput, "evidence" | "logits">(
    "block-0 next",
    { part: { parts: { prelude, core, coda } }, length, groupSize: 1 },
    (batchSize) => ({ before: int32(batchSize, 1), z: float32(batchSize, 1, width), ...levelInputs(batchSize) }),
    ({ before, z, ...levels }: Readonly<Record<"before" | "z" | LevelName, Tensor>>, { patternOf }) => ({
      ...estimate(before, { z, levels }, { ...plainContext, patternOf }),
    }),
  );
  const table = targetTable(targets);
  const model: TokenDenoiser<RecurrentDenoiser> = {
    vocabSize,
    length,
    width,
    targetScale,
    groupSize: 1,
    partition,
    blocks: [block],
    estimates: [block.estimate],
    answering: [0],
    table,
  };

  const entryNoise = (): string => "start";
  const generateText: LanguageModel["generate"] = (call, batchSize, keys) => {
    const isWalk = sampling.readout === "last";
    const reader = new RecurrentReader({
      program: next,
      table,
      levels: isWalk ? samplingLevels(sampling, partition) : [entryLevel(ranges[0]!, 0)],
      rereads: isWalk,
      noiseAt: (position) => placeNoise(keys, "start", { position, count: 1, batchSize, width }),
      scaling: training,
      call,
      batchSize,
    });
    return generate({ model, sampling, reader, call, batchSize, keys, entryNoise });
  };

  return {
    ...model,
    name: "blocks",
    inputType: architecture.inputType,
    layersPerBlock: [numLayers],
    units: [unit],
    order: independent,
    objective: (_unit, { input: tokens }, key, memory) => {
      const levels = drawnLevels(fold(key, "sigma"), training, trainingRanges[0]!, tokens.shape[0]!);
      const z = noisyTokens(tokens, levels.sigma, targets, fold(key, "noise"));
      const base = trainingContext(fold(key, "dropout"));
      const { logits } = estimate(precedingTokens(tokens, vocabSize), { z, levels }, base, memory);
      const losses = crossEntropy(logits, tokens);
      return { loss: weightedTokenMean(losses, levels, lossWeighting), metrics: { crossEntropy: mean(losses) } };
    },
    programs: [table, ...Object.values(block), next.program],
    generate: generateText,
    exported: (chosen) => exportedText({ model, sampling, generate: generateText, entryNoise, seesNoise: true }, chosen),
    likelihoods: (call, batchSize, text, key) => denoisingLikelihoods({ model, readout: sampling.readout, call, batchSize, text, key }),
  };
}
