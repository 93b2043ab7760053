import { eulerStep, type Partition } from "../diffusion/index.ts";
import {
  adaLNZero,
  type Context,
  namedParameters,
  noiseEmbedding,
  plainContext,
  precedingTokens,
  type RecurrentArchitecture,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key, normal } from "../random.ts";
import { checkpoint, crossEntropy, input, mean, mul, reshape, type Tensor } from "../tensor/index.ts";
import { behindCache, type CallProgram, type Generation, KeyValueCache, type LanguageModel } from "../train/index.ts";
import { type Estimate, estimateOf, type LabelLikelihood } from "./block.ts";
import { bridgeEach } from "./bridge.ts";
import { embeddingErrors, noisyEmbeddings, overTokens, weightedTokenMean } from "./languageBlock.ts";
import { drawnLevels, fedLevels, levelFeeds, type NoiseLevels } from "./levels.ts";
import { blockLikelihoods } from "./measureLanguage.ts";
import type { LossWeighting } from "./objective.ts";
import { entryLevel, type Sampling, type SamplingOptions, samplingGrid } from "./predict.ts";
import { createTargets, type TargetEmbedding } from "./targets.ts";

export interface RecurrentBlockOptions {
  /** One range: the core denoises at every level. */
  readonly partition: Partition;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a token's embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly labelLikelihood?: LabelLikelihood;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  readonly sampling?: SamplingOptions<Sampling>;
}

/**
 * Recurrent depth as denoising (DiffusionBlocks, Appendices B and E.5): the state is a noisy embedding of the next token, a recurrence is one estimate of it, and a training step is one pass at one noise level instead of
 * some thirty recurrences. Position i holds the embedding of the tokens up to it and z of the next: what it sees of other z is of tokens that it knows, so that no second reading is needed.
 * The step from one estimate to the next is Euler's.
 */
export function convertRecurrent(architecture: RecurrentArchitecture, options: RecurrentBlockOptions): LanguageModel {
  const { partition, lossWeighting = "none", labelLikelihood = "exact", initialGate = 1, targetScale = 1 } = options;
  const { vocabSize, length, width, condWidth, epsilon, numLayers } = architecture;
  const network = architecture.build(adaLNZero({ condWidth, epsilon, initialGate }));
  const noise = noiseEmbedding(condWidth, { activated: false });
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const sampling: Sampling = { numSteps: 32, grid: "equi-probability", bridge: "soft", readout: "evidence", ...options.sampling };
  const { prelude, core, coda } = network;
  const named = [
    ...namedParameters({ parts: { prelude, noise, core, coda } }),
    ...(targets.parameter ? [["targets", targets.parameter] as const] : []),
  ];

  /** Estimates of tokens from what stands before them, and their noisy embeddings [batch, tokens, width]. */
  const estimate = (
    before: Tensor,
    z: Tensor,
    levels: Pick<NoiseLevels, "sigma" | "cIn" | "cNoise">,
    base: Context,
    checkpointing = false,
  ): Estimate => {
    const context = { ...base, condition: noise(reshape(levels.cNoise, [z.shape[0]!])) };
    const [improve, read] = checkpointing
      ? [checkpoint<Parameters<typeof core>, Tensor>(core), checkpoint<Parameters<typeof coda>, Tensor>(coda)]
      : [core, coda];
    const evidence = read(improve(mul(overTokens(levels.cIn), z), prelude(before, context), context), context);
    return estimateOf(evidence, z, overTokens(levels.sigma), { targets, labelLikelihood });
  };

  const unit = {
    name: "block-0",
    trainable: new Map(named.map(([path, tensor]) => [`block-0/${path}`, tensor] as const)),
    frozen: new Map(),
    constants: new Map(targets.parameter ? [] : [["targets", targets.table] as const]),
    numLayers,
  };
  const measured = {
    length,
    vocabSize,
    partition,
    targetScale,
    reading: "own",
    groupSize: 1,
    speaking: [],
    sampling,
    architecture,
  } as const;

  return {
    name: "blocks",
    inputType: architecture.inputType,
    vocabSize,
    length,
    partition,
    layersPerBlock: [numLayers],
    units: [unit],
    independentUnits: true,
    objective: (_unit, { input: tokens }, key, { checkpointing }) => {
      const batchSize = tokens.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[0]!, batchSize);
      const z = noisyEmbeddings(tokens, levels.sigma, targets, fold(key, "noise"));
      const { logits } = estimate(precedingTokens(tokens, vocabSize), z, levels, trainingContext(fold(key, "dropout")), checkpointing);
      const losses = crossEntropy(logits, tokens);
      return { loss: weightedTokenMean(losses, levels, lossWeighting), metrics: { crossEntropy: mean(losses) } };
    },
    programs: (batchSize) => {
      const tokens = input("tokens", [batchSize, length], "int32");
      const z = input("z", [batchSize, length, width]);
      const levels = fedLevels(batchSize);
      const whole = estimate(precedingTokens(tokens, vocabSize), z, levels, plainContext);
      const { context, made } = behindCache(architecture, batchSize);
      const before = reshape(input("before", [batchSize], "int32"), [batchSize, 1]);
      const next = estimate(before, input("z", [batchSize, 1, width]), fedLevels(batchSize), context);
      const flat = (x: Tensor): Tensor => reshape(x, [batchSize, vocabSize]);
      return {
        "block-0": { evidence: whole.evidence, logits: whole.logits },
        "block-0 measured": { squaredError: embeddingErrors(whole.logits, tokens, targets) },
        "block-0 next": { evidence: flat(next.evidence), logits: flat(next.logits), ...made },
        targets: { table: targets.table },
      };
    },
    generate: (call, batchSize, keys) => generateRecurrent({ architecture, partition, sampling, call, batchSize, keys }),
    likelihoods: (call, batchSize, text, key) => blockLikelihoods({ model: measured, call, batchSize, text, key, block: undefined }),
  };
}

interface RecurrentGeneration {
  readonly architecture: RecurrentArchitecture;
  readonly partition: Partition;
  readonly sampling: Sampling;
  readonly call: CallProgram;
  readonly batchSize: number;
  readonly keys: readonly Key[];
}

/**
 * Generation token by token. With the readout `evidence` one estimate from pure noise. With `last` a walk down the noise levels: at each, earlier positions hold the embeddings of their tokens with noise of that level, as in training, so
 * a token that was chosen is read again at every level.
 */
function generateRecurrent({ architecture, partition, sampling, call, batchSize, keys }: RecurrentGeneration): Generation {
  const { vocabSize, width, numLayers } = architecture;
  const { sigmaData } = partition.noise;
  const walks = sampling.readout === "last";
  const grid = walks ? samplingGrid(sampling, partition) : [entryLevel(partition.ranges[0]!, 0)];
  const caches = grid.map(() => new KeyValueCache(architecture, batchSize, [...Array(numLayers).keys()]));
  let position = 0;
  let previous: Int32Array | undefined;

  const noiseAt = (place: number): Float32Array => {
    const out = new Float32Array(batchSize * width);
    for (const [i, own] of keys.entries()) normal(fold(fold(own, place), "start"), out.subarray(i * width, (i + 1) * width));
    return out;
  };

  const ask = async (
    level: number,
    place: number,
    before: Int32Array,
    z: Float32Array,
  ): Promise<Readonly<Record<string, Float32Array>>> => {
    const levels = levelFeeds(new Float32Array(batchSize).fill(grid[level]!), sigmaData);
    return (await call("block-0 next", { before, z, ...levels, ...caches[level]!.feeds(place) })) as Record<string, Float32Array>;
  };

  /** The token that was chosen for the place before stands there at every level. */
  const settle = async (chosen: Int32Array): Promise<void> => {
    if (previous === undefined) return;
    const table = (await call("targets", {})).table as Float32Array;
    const noise = noiseAt(position - 1);
    for (const [level, sigma] of grid.entries()) {
      const z = noise.map((x, i) => table[chosen[Math.floor(i / width)]! * width + (i % width)]! + sigma * x);
      caches[level]!.store(await ask(level, position - 1, previous, z), position - 1);
    }
  };

  const walk = async (before: Int32Array): Promise<Float32Array> => {
    await settle(before);
    const table = (await call("targets", {})).table as Float32Array;
    let z: Float32Array = noiseAt(position).map((x) => x * Math.sqrt(1 + grid[0]! ** 2));
    let scores: Float32Array = z;
    for (const [level, sigma] of grid.entries()) {
      scores = (await ask(level, position, before, z)).logits!;
      const sigmaNext = grid[level + 1];
      if (sigmaNext === undefined) break;
      const drawKeys = keys.map((own) => fold(fold(own, position), level));
      const denoised = bridgeEach(sampling.bridge, scores, table, vocabSize, drawKeys);
      z = eulerStep({ z, denoised, sigma, sigmaNext });
    }
    return scores;
  };

  return {
    groupSize: 1,
    next: async (before) => {
      let scores: Float32Array;
      if (walks) scores = await walk(before);
      else {
        const results = await ask(
          0,
          position,
          before,
          noiseAt(position).map((x) => x * grid[0]!),
        );
        caches[0]!.store(results, position);
        scores = results.evidence!;
      }
      previous = before;
      position++;
      return scores;
    },
  };
}
