import { antitheticTimes, keptShare, type MaskingPartition, maskingWeight, type TimeRange } from "../diffusion/index.ts";
import { exportedMaskedText, type MaskedTextModel } from "../inference/index.ts";
import {
  adaLNZero,
  type Context,
  type LayerMemory,
  noiseEmbedding,
  plainContext,
  standardUniform,
  type TokenArchitecture,
  type TokenNetwork,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key, uniformAt } from "../random.ts";
import {
  cast,
  constant,
  crossEntropy,
  greater,
  type HostArray,
  maximum,
  mean,
  mul,
  random,
  reduceSum,
  reshape,
  type Tensor,
  where,
} from "../tensor/index.ts";
import { float32, forwardCost, int32, predictionProgram, type TrainingMethod } from "../train/index.ts";
import { type Block, type CutOptions, cut } from "./cut.ts";
import { meanOf } from "./objective.ts";

export interface MaskedTextOptions extends CutOptions {
  readonly partition: MaskingPartition;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  /**
   * `own`: each block embeds the tokens itself. `stacked`: it starts from the features of the finished blocks before
   * it, which are evaluated at the nearest times that they know; the last one has all layers.
   */
  readonly context?: "own" | "stacked";
  /** Blocks that are trained on the same range answer together, by the mean of their logits. */
  readonly together?: boolean;
}

/** A masked diffusion model in blocks. With one block of all times it is the one that is trained end to end. */
export interface MaskedText extends TrainingMethod, MaskedTextModel {
  readonly partition: MaskingPartition;
  readonly architecture: TokenArchitecture;
}

/** Times of a batch and their terms of the loss, each [batch, 1]. */
interface Times {
  readonly t: Tensor;
  /** −α′/(1 − α) */
  readonly weight: Tensor;
}

/**
 * Cuts a masked diffusion model into blocks that learn alone: block b is trained at times of its own range only. Its
 * loss is the part of the bound of the likelihood that lies there, by its density, E_t[−α′(t)/(1 − α(t)) Σ_masked
 * CE]/length; the bound of the whole is their mean by the widths of the ranges. Times in a batch are antithetic. With
 * one block and no overlap it is MD4 (Shi et al. 2024).
 *
 * @throws {PartitionError} if the layers cannot be assigned. {UsageError} if stacked blocks share what goes on
 *   learning.
 * @see DiffusionBlocks (arXiv 2506.14202), Appendix D.
 */
export function convertMasked(architecture: TokenArchitecture, options: MaskedTextOptions): MaskedText {
  const { partition, layersPerBlock, shared, initialGate = 0, context = "own", together = false } = options;
  const { numLayers, length, vocabSize, condWidth, epsilon } = architecture;
  const { trainingRanges } = partition;
  const isStacked = context === "stacked";
  const { blocks, units, order, ...own } = cut({
    numLayers,
    numBlocks: partition.ranges.length,
    layersPerBlock,
    shared,
    together,
    build: () => {
      const { stem, layers, head } = architecture.build(adaLNZero({ condWidth, epsilon, initialGate }));
      return { stem: { stem, noise: noiseEmbedding(condWidth, { activated: false }) }, layers, head: { head } };
    },
    usedStem: ({ stem, noise }, b) => (isStacked && b > 0 ? { noise } : { stem, noise }),
    passageOf: isStacked ? (own, other) => (other < own ? { evaluationsPerLayer: forwardCost } : undefined) : undefined,
  });

  /** The state of tokens behind the layers of block b at times t. Stacked blocks before it are finished: they run without dropout. */
  const stateOf = (b: number, tokens: Tensor, t: Tensor, base: Context, memory?: LayerMemory): Tensor => {
    const { stem, layers } = blocks[b]!;
    const start =
      isStacked && b > 0 ? stateOf(b - 1, tokens, maximum(t, trainingRanges[b - 1]![0]), plainContext) : stem.stem(tokens, base);
    return throughLayers(layers, start, at(blocks[b]!, t, base), memory);
  };
  const logitsOf = (b: number, tokens: Tensor, t: Tensor, base: Context, memory?: LayerMemory): Tensor =>
    blocks[b]!.head.head(stateOf(b, tokens, t, base, memory), at(blocks[b]!, t, base));
  /** Logits of the blocks that answer at the times of block b. */
  const answerOf = (b: number, tokens: Tensor, t: Tensor): Tensor =>
    meanOf((together ? [...units.keys()] : [b]).map((one) => logitsOf(one, tokens, t, plainContext)));
  const boundOf = (tokens: Tensor, masked: Tensor, { t, weight }: Times, logits: (shown: Tensor, t: Tensor) => Tensor): Tensor => {
    const shown = where(masked, constant([vocabSize], [], "int32"), tokens);
    const losses = mul(crossEntropy(logits(shown, t), tokens), cast(masked, "float32"));
    return mul(reshape(weight, [tokens.shape[0]!]), mul(reduceSum(losses, -1), 1 / length));
  };

  const estimates = units.map(({ name }, b) =>
    predictionProgram<"tokens" | "t", "logits">(
      name,
      (batchSize) => ({ tokens: int32(batchSize, length), t: float32(batchSize, 1) }),
      ({ tokens, t }) => ({ logits: answerOf(b, tokens, t) }),
    ),
  );
  const bounds = units.map(({ name }, b) =>
    predictionProgram<"tokens" | "masked" | "t" | "weight", "bound">(
      `${name} bound`,
      (batchSize) => ({
        tokens: int32(batchSize, length),
        masked: { dtype: "bool", shape: [batchSize, length] },
        t: float32(batchSize, 1),
        weight: float32(batchSize, 1),
      }),
      ({ tokens, masked, ...times }) => ({ bound: boundOf(tokens, masked, times, (shown, t) => answerOf(b, shown, t)) }),
    ),
  );

  const model: MaskedTextModel & { readonly partition: MaskingPartition } = { vocabSize, length, partition, estimates, bounds };
  return {
    ...model,
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    layersPerBlock: own.layersPerBlock,
    units,
    order,
    objective: (unit, { input: tokens }, key, memory) => {
      const b = units.indexOf(unit);
      const { kept, ...times } = drawnTimes(fold(key, "times"), partition, trainingRanges[b]!, tokens.shape[0]!);
      const coin = random(fold(key, "hidden"), standardUniform, tokens.shape);
      const masked = greater(coin, kept);
      const context = trainingContext(fold(key, "dropout"));
      return { loss: mean(boundOf(tokens, masked, times, (shown, t) => logitsOf(b, shown, t, context, memory))), metrics: {} };
    },
    programs: units.flatMap((_, b) => [estimates[b]!, bounds[b]!]),
    exported: (chosen) => exportedMaskedText(model, chosen),
  };
}

/** Times of a range, drawn anew at each step from one random number, with α of each. */
function drawnTimes(key: Key, { schedule }: MaskingPartition, range: TimeRange, batchSize: number): Times & { readonly kept: Tensor } {
  const column = (name: string, of: (t: number) => number): Tensor => {
    const fill = (out: HostArray, stepKey: Key): void => {
      for (const [i, t] of antitheticTimes(range, batchSize, uniformAt(stepKey, 0)).entries()) out[i] = of(t);
    };
    return random(key, { name: `${name} in [${range.join(", ")}]`, fill }, [batchSize, 1]);
  };
  return {
    t: column("t", (t) => t),
    weight: column("weight", (t) => maskingWeight(schedule, t)),
    kept: column("kept", (t) => keptShare(schedule, t)),
  };
}

/** The parts of a token network's stem and head that blocks share by their policy. */
type TokenStem = Pick<TokenNetwork, "stem"> & { readonly noise: ReturnType<typeof noiseEmbedding> };

/** A context that conditions a block on times [batch, 1]. */
function at({ stem: { noise } }: Block<TokenStem, Pick<TokenNetwork, "head">>, times: Tensor, base: Context): Context {
  return { ...base, condition: noise(mul(reshape(times, [times.shape[0]!]), 1000)) };
}
