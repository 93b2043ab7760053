import { keptShare, type MaskingPartition, maskingEpsilon, maskingWeight, type TimeRange } from "../diffusion/index.ts";
import {
  adaLNZero,
  type Context,
  layerParameters,
  namedParameters,
  noiseEmbedding,
  plainContext,
  type TokenArchitecture,
  type TokenNetwork,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold, type Key, uniform, uniformAt } from "../random.ts";
import {
  cast,
  constant,
  crossEntropy,
  greater,
  type HostArray,
  input,
  maximum,
  mean,
  mul,
  random,
  reduceSum,
  reshape,
  type Tensor,
  where,
} from "../tensor/index.ts";
import { assignLayers, forward, type TrainingMethod } from "../train/index.ts";
import type { BlockParameters } from "./block.ts";
import type { ReadingDepth } from "./languageBlocks.ts";
import { blockUnit, checkFinishedSharing, perBlock, readingOthers, type SharedPolicy, sharingOf } from "./sharing.ts";

export interface MaskedTextOptions {
  readonly partition: MaskingPartition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[] | undefined;
  readonly shared?: SharedPolicy;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  /** `own`: each block embeds the tokens itself. `stacked`: it starts from the state to which the finished blocks before it bring them, which know times of more hidden tokens; the last one has all layers. */
  readonly reading?: ReadingDepth;
}

/** Some of a network's layers as a denoiser of tokens. */
export interface TextBlock {
  readonly parameters: BlockParameters;
  readonly numLayers: number;
  /** int32 [batch, length], hidden ones as `vocabSize` -> [batch, length, width] */
  embed(tokens: Tensor, context: Context): Tensor;
  /** A state behind the block's layers, at times [batch, 1]. */
  through(state: Tensor, times: Tensor, context: Context, checkpointing?: boolean): Tensor;
  /** -> logits [batch, length, vocabSize] */
  say(state: Tensor, times: Tensor, context: Context): Tensor;
}

/**
 * Blocks that say what hidden tokens are. Program `block-b` maps tokens and times to `logits`; `block-b bound` maps whole tokens, what is hidden (bool), times and weights to `bound`, [batch]: the weighted
 * cross-entropy of the hidden tokens, in nats for each token of the sequence.
 */
export interface MaskedText extends TrainingMethod {
  readonly architecture: TokenArchitecture;
  readonly partition: MaskingPartition;
  readonly blocks: readonly TextBlock[];
}

/**
 * Cuts a masked diffusion model into blocks that learn alone (DiffusionBlocks, Appendix D): block b sees times of its own range only. Its loss is the part of the bound of the likelihood that lies there, by its density,
 * E_t[−α′(t)/(1 − α(t)) Σ_hidden CE]/length; the bound of the whole is their mean by the widths of the ranges. Times in a batch are antithetic. With one block and no overlap it is MD4 (Shi et al. 2024).
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 */
export function convertMasked(
  architecture: TokenArchitecture,
  { partition, layersPerBlock, shared = "owned", initialGate = 0, reading = "own" }: MaskedTextOptions,
): MaskedText {
  const isStacked = reading === "stacked";
  if (isStacked) checkFinishedSharing("convertMasked", shared);
  const { ranges: times, trainingRanges } = partition;
  const { length, vocabSize } = architecture;
  const ranges = assignLayers(architecture.numLayers, times.length, layersPerBlock);
  const networks = perBlock(times.length, shared, () => conditioned(architecture, initialGate), withStemOf);
  const blocks = ranges.map((range, b) => createTextBlock(networks[b]!, range, !isStacked || b === 0));
  const units = readingOthers(
    blocks.map((block, b) => blockUnit(b, block, shared)),
    blocks,
    (own, other) => (isStacked && other < own ? { layers: forward } : undefined),
  );
  /** What block b's layers make of tokens. Blocks before are asked at the nearest times that they know. */
  const stateOf = (b: number, tokens: Tensor, t: Tensor, context: Context, checkpointing = false): Tensor => {
    const start =
      isStacked && b > 0 ? stateOf(b - 1, tokens, maximum(t, trainingRanges[b - 1]![0]), plainContext) : blocks[b]!.embed(tokens, context);
    return blocks[b]!.through(start, t, context, checkpointing);
  };
  const logitsOf = (b: number, tokens: Tensor, t: Tensor, context: Context, checkpointing = false): Tensor =>
    blocks[b]!.say(stateOf(b, tokens, t, context, checkpointing), t, context);
  const boundOf = (b: number, tokens: Tensor, hidden: Tensor, { t, weight }: Times, context: Context, checkpointing = false): Tensor => {
    const shown = where(hidden, constant([vocabSize], [], "int32"), tokens);
    const losses = mul(crossEntropy(logitsOf(b, shown, t, context, checkpointing), tokens), cast(hidden, "float32"));
    return mul(reshape(weight, [tokens.shape[0]!]), mul(reduceSum(losses, -1), 1 / length));
  };
  return {
    name: "blocks",
    inputType: architecture.inputType,
    architecture,
    partition,
    blocks,
    layersPerBlock: ranges.map(([first, end]) => end - first),
    units,
    ...sharingOf(shared, units),
    ...(isStacked && { independentUnits: false, inOrder: true }),
    objective: (unit, { input: tokens }, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const drawn = drawnTimes(fold(key, "times"), partition, trainingRanges[b]!, tokens.shape[0]!);
      const coin = random(fold(key, "hidden"), { name: "uniform", fill: (out, own) => uniform(own, out as Float32Array) }, tokens.shape);
      const hidden = greater(coin, drawn.kept);
      return { loss: mean(boundOf(b, tokens, hidden, drawn, trainingContext(fold(key, "dropout")), checkpointing)), metrics: {} };
    },
    programs: (batchSize) => {
      const tokens = input("tokens", [batchSize, length], "int32");
      const fed = { t: input("t", [batchSize, 1]), weight: input("weight", [batchSize, 1]), kept: input("kept", [batchSize, 1]) };
      const hidden = input("hidden", [batchSize, length], "bool");
      return Object.fromEntries(
        blocks.flatMap((_, b) => [
          [`block-${b}`, { logits: logitsOf(b, tokens, fed.t, plainContext) }],
          [`block-${b} bound`, { bound: boundOf(b, tokens, hidden, fed, plainContext) }],
        ]),
      );
    },
  };
}

/** What the loss needs of the times of a batch, each [batch, 1]. */
interface Times {
  readonly t: Tensor;
  /** −α′/(1 − α) */
  readonly weight: Tensor;
  /** α */
  readonly kept: Tensor;
}

/** Times of a range, drawn anew at each step from one random number. */
function drawnTimes(key: Key, { schedule }: MaskingPartition, range: TimeRange, batchSize: number): Times {
  const column = (name: keyof Times, of: (t: number) => number): Tensor => {
    const fill = (out: HostArray, stepKey: Key): void => {
      for (const [i, t] of antithetic(range, batchSize, uniformAt(stepKey, 0)).entries()) out[i] = of(t);
    };
    return random(key, { name: `${name} in [${range.join(", ")}]`, fill }, [batchSize, 1]);
  };
  return {
    t: column("t", (t) => t),
    weight: column("weight", (t) => maskingWeight(schedule, t)),
    kept: column("kept", (t) => keptShare(schedule, t)),
  };
}

/** Times spread evenly over a range from one random number: t_k = low + width · ((u + k/N) mod 1). */
export function antithetic([low, high]: TimeRange, count: number, u: number): readonly number[] {
  return Array.from({ length: count }, (_, k) => low + (high - low) * ((u + k / count) % 1));
}

/** The part of the bound that no network decides: at t = 0 a share ε of the tokens is hidden still, in nats for each token. */
export function reconstruction({ vocabSize }: Pick<TokenArchitecture, "vocabSize">): number {
  return maskingEpsilon * Math.log(vocabSize);
}

interface Conditioned {
  readonly network: TokenNetwork;
  readonly time: ReturnType<typeof noiseEmbedding>;
}

function conditioned(architecture: TokenArchitecture, initialGate: 0 | 1): Conditioned {
  const { condWidth, epsilon } = architecture;
  return {
    network: architecture.build(adaLNZero({ condWidth, epsilon, initialGate })),
    time: noiseEmbedding(condWidth, { activated: false }),
  };
}

function withStemOf(common: Conditioned, own: Conditioned): Conditioned {
  return { network: { ...own.network, stem: common.network.stem }, time: common.time };
}

function createTextBlock({ network, time }: Conditioned, [first, end]: readonly [number, number], embeds: boolean): TextBlock {
  const layers = network.layers.slice(first, end);
  const at = (times: Tensor, base: Context): Context => ({ ...base, condition: time(mul(reshape(times, [times.shape[0]!]), 1000)) });
  return {
    parameters: {
      stem: namedParameters({ parts: { ...(embeds && { stem: network.stem }), noise: time } }),
      layers: layerParameters(layers, first),
      head: namedParameters({ parts: { head: network.head } }),
    },
    numLayers: end - first,
    embed: network.stem,
    through: (state, times, base, checkpointing = false) => throughLayers(layers, state, at(times, base), checkpointing),
    say: (state, times, base) => network.head(state, at(times, base)),
  };
}
