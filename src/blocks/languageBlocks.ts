import { type Partition, precondition } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import {
  adaLNZero,
  beside,
  type Context,
  following,
  type KeyValue,
  type LanguageArchitecture,
  type LanguageNetwork,
  type Layer,
  namedParameters,
  noiseEmbedding,
  plainContext,
  precedingTokens,
  standardNormal,
  trainingContext,
  type View,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import {
  add,
  checkpoint,
  concat,
  constant,
  crossEntropy,
  div,
  filled,
  gather,
  input,
  matmul,
  mean,
  mul,
  random,
  reduceSum,
  reshape,
  softmax,
  square,
  sub,
  type Tensor,
} from "../tensor/index.ts";
import { assignLayers, cacheInputs, type LanguageModel, type Unit } from "../train/index.ts";
import type { BlockParameters, Estimate, LabelLikelihood } from "./block.ts";
import { generateText } from "./generateText.ts";
import { drawnLevels, fedLevels, type NoiseLevels } from "./levels.ts";
import { blockLikelihoods } from "./measureLanguage.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import type { Sampling } from "./predict.ts";
import { blockUnit, perBlock, type SharedPolicy, sharingOf } from "./sharing.ts";
import { createTargets, type TargetEmbedding, type Targets } from "./targets.ts";

/**
 * What the reading of the tokens before starts from in a block. `own`: an embedding of its own, so that blocks share nothing, and each reads with its own layers only. `stacked`: the states to which
 * the blocks before it brought the text; they are finished and only run forward, blocks are trained in order, and the last one reads with all layers.
 */
export type ReadingDepth = "own" | "stacked";

/** What the estimate of a token starts from beside its noisy embedding: the reading's state at the token before, or nothing (the paper). */
export type QueryStart = "previous" | "blank";

export interface LanguageBlocksOptions {
  readonly partition: Partition;
  /** How many layers each block gets; equal shares by default. */
  readonly layersPerBlock?: readonly number[];
  readonly shared?: SharedPolicy;
  readonly targetEmbedding?: TargetEmbedding;
  /** Length of a token's embedding. */
  readonly targetScale?: number;
  readonly lossWeighting?: LossWeighting;
  readonly labelLikelihood?: LabelLikelihood;
  /** Gate of the residual branches at initialisation. */
  readonly initialGate?: 0 | 1;
  readonly reading?: ReadingDepth;
  readonly query?: QueryStart;
  /** Weight of the reading's own cross-entropy of the next token, beside the denoising loss. */
  readonly nextTokenWeight?: number;
  readonly sampling?: Partial<Sampling>;
}

/** Keys and values that a reading made in each layer of a block. */
interface Reading {
  /** [batch, tokens, width], after the last layer. */
  readonly state: Tensor;
  /** What the layers started from. */
  readonly start: Tensor;
  readonly kept: readonly KeyValue[];
}

/** Some of a network's layers as a denoiser of the next token's embedding. */
export interface LanguageBlock {
  readonly parameters: BlockParameters;
  readonly layers: readonly Layer[];
  readonly network: LanguageNetwork;
  readonly noise: ReturnType<typeof noiseEmbedding>;
}

/**
 * A language model in blocks. Program `block-b` maps tokens, z and levels to the estimates of each token from its noisy embedding and the tokens before it; `block-b next` reads one token behind those whose keys and values are
 * fed and estimates the next; `targets` gives the table of embeddings.
 */
export interface LanguageBlocks extends LanguageModel {
  readonly architecture: LanguageArchitecture;
  readonly partition: Partition;
  readonly blocks: readonly LanguageBlock[];
  readonly targets: Targets;
  /** Length of a token's embedding. */
  readonly targetScale: number;
  readonly sampling: Sampling;
  readonly reading: ReadingDepth;
}

const defaultSampling: Sampling = { numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "evidence" };

/**
 * Cuts a language model into blocks that learn alone (DiffusionBlocks, Appendices B and E.4): D_b(z_i, x_<i, σ) estimates the embedding of token i from a noisy one, for σ in the block's range, and the clean tokens before it,
 * with the cross-entropy of its logits as the loss. The clean tokens are read by the same layers under the conditioning of σ_min, so that their keys and values are the same at every noise level and are kept in generation.
 * Reading and estimates are two passes through each layer rather than one over a sequence of twice the length: no score is computed that the mask would hide.
 *
 * @throws {PartitionError} if the layers cannot be assigned.
 */
export function convertLanguage(architecture: LanguageArchitecture, options: LanguageBlocksOptions): LanguageBlocks {
  const { partition, shared = "owned", lossWeighting = "none", labelLikelihood = "exact", reading = "own", query = "previous" } = options;
  const { nextTokenWeight = 0, initialGate = 1, targetScale = 1 } = options;
  if (reading === "stacked" && shared !== "owned" && shared !== "frozen") {
    const message =
      "convertLanguage: stacked blocks read the finished blocks before them, so nothing that they share can go on learning. Choose shared: owned or frozen.";
    throw new UsageError("stackedSharing", { shared }, message);
  }
  const { vocabSize, length, width } = architecture;
  const numBlocks = partition.ranges.length;
  const ranges = assignLayers(architecture.numLayers, numBlocks, options.layersPerBlock);
  const targets = createTargets(options.targetEmbedding ?? "orthonormal", vocabSize, width, targetScale);
  const networks = perBlock(numBlocks, shared, () => conditioned(architecture, initialGate), withStemOf);
  const blocks = ranges.map((range, b) => createLanguageBlock(networks[b]!, range, reading === "own" || b === 0 || query === "blank"));
  const table = { constant: targets.parameter ? undefined : targets.table, learned: targets.parameter };
  const own = blocks.map((block, b) => blockUnit(b, { parameters: block.parameters, numLayers: 2 * block.layers.length }, shared, table));
  const units = reading === "own" ? own : own.map((unit, b) => stackedUnit(unit, b, own, blocks));
  const sampling: Sampling = { ...defaultSampling, ...options.sampling };
  const cleanLevel = precondition(partition.noise.sigmaMin, partition.noise.sigmaData).cNoise;

  /** Reads tokens with the layers of one block, each seeing what `viewOf` gives it. */
  const readBy = (
    { layers, noise }: LanguageBlock,
    start: Tensor,
    base: Context,
    run: RunLayer = directly,
    viewOf: ViewOf = asBuilt,
  ): Reading => {
    const condition = noise(filled(cleanLevel, [start.shape[0]!]));
    const kept: KeyValue[] = [];
    const record = (made: KeyValue): void => void kept.push(made);
    const state = layers.reduce((h, layer, i) => run(layer)(h, { ...base, condition, record, view: viewOf(i) }), start);
    return { state, start, kept };
  };

  /** The reading of tokens by block b, on top of the blocks before where they are stacked. */
  const readTokens = (b: number, tokens: Tensor, context: Context, run?: RunLayer): Reading => {
    const preceding = precedingTokens(tokens, vocabSize);
    if (reading === "own") return readBy(blocks[b]!, blocks[b]!.network.stem(preceding, context), context, run);
    const embedded = blocks[0]!.network.stem(preceding, b === 0 ? context : plainContext);
    const state = blocks.slice(0, b).reduce((h, before) => readBy(before, h, plainContext).state, embedded);
    return readBy(blocks[b]!, state, context, run);
  };

  /** Estimates of tokens from their noisy embeddings [batch, tokens, width], seeing what `viewOf` gives them of a reading's layers. */
  const estimate = (
    { layers, noise, network }: LanguageBlock,
    { start, viewOf }: { readonly start: Tensor; readonly viewOf: ViewOf },
    { z, levels }: NoisyTokens,
    base: Context,
    run: RunLayer = directly,
  ): Estimate => {
    const context = { ...base, condition: noise(reshape(levels.cNoise, [z.shape[0]!])) };
    const [batch, tokens] = start.shape as [number, number];
    const own = query === "previous" ? start : network.stem(blank([batch, tokens], vocabSize), base);
    const embedded = add(own, network.target!(mul(overTokens(levels.cIn), z)));
    const state = layers.reduce((h, layer, i) => run(layer)(h, { ...context, view: viewOf(i) }), embedded);
    const read = network.head(state, context);
    if (labelLikelihood === "learned") return { evidence: read, logits: read };
    const likelihood = div(matmul(z, targets.table, { transB: true }), square(overTokens(levels.sigma)));
    return { evidence: read, logits: add(read, likelihood) };
  };

  const estimateBeside = (b: number, read: Reading, noisy: NoisyTokens, context: Context, run?: RunLayer): Estimate =>
    estimate(blocks[b]!, { start: read.start, viewOf: (layer) => beside(read.kept[layer]!) }, noisy, context, run);

  return {
    name: numBlocks === 1 ? "diffusion" : "diffusion-blocks",
    inputType: architecture.inputType,
    vocabSize,
    length,
    architecture,
    partition,
    blocks,
    targets,
    targetScale,
    sampling,
    reading,
    units,
    ...sharingOf(shared, units),
    ...(reading === "stacked" && { independentUnits: false, inOrder: true }),
    objective: (unit, { input: tokens }, key, { checkpointing }) => {
      const b = units.indexOf(unit);
      const batchSize = tokens.shape[0]!;
      const levels = drawnLevels(fold(key, "sigma"), partition.noise, partition.trainingRanges[b]!, batchSize);
      const y = gather(targets.table, tokens);
      const z = add(y, mul(overTokens(levels.sigma), random(fold(key, "noise"), standardNormal, y.shape)));
      const context = trainingContext(fold(key, "dropout"));
      const run = checkpointing ? keepingInputs : directly;
      const read = readTokens(b, tokens, context, run);
      const losses = crossEntropy(estimateBeside(b, read, { z, levels }, context, run).logits, tokens);
      const loss = weightedMean(mul(reduceSum(losses, -1), 1 / length), reshape(levels.lossWeight, [batchSize]), lossWeighting);
      const metrics = { crossEntropy: mean(losses) };
      if (nextTokenWeight === 0) return { loss, metrics };
      const ofReading = mean(crossEntropy(headOfReading(b, read, context), tokens));
      return { loss: add(loss, mul(ofReading, nextTokenWeight)), metrics: { ...metrics, nextToken: ofReading } };
    },
    programs: (batchSize) => {
      const tokens = input("tokens", [batchSize, length], "int32");
      const z = input("z", [batchSize, length, width]);
      const levels = fedLevels(batchSize);
      const whole = blocks.flatMap((_, b) => {
        const read = readTokens(b, tokens, plainContext);
        const { evidence, logits } = estimateBeside(b, read, { z, levels }, plainContext);
        const denoised = reshape(matmul(softmax(logits), targets.table), z.shape);
        const squaredError = reduceSum(square(sub(denoised, gather(targets.table, tokens))), -1);
        const name = `block-${b}`;
        return [
          [name, { evidence, logits }],
          [`${name} measured`, { nats: crossEntropy(evidence, tokens), squaredError }],
          ...(nextTokenWeight > 0 ? [[`${name} read`, { nats: crossEntropy(headOfReading(b, read, plainContext), tokens) }] as const] : []),
        ] as const;
      });
      const next = blocks.map((_, b) => [`block-${b} next`, nextProgram(b, batchSize)] as const);
      return { targets: { table: targets.table }, ...Object.fromEntries([...whole, ...next]) };
    },
    generate(call, batchSize, keys) {
      return generateText({ model: this, ranges, call, batchSize, keys });
    },
    likelihoods(call, batchSize, text, key, unit) {
      const block = unit === undefined ? undefined : units.indexOf(unit);
      return blockLikelihoods({ model: this, call, batchSize, text, key, block, hasReadingHead: nextTokenWeight > 0 });
    },
  };

  /** What the reading itself says of the next token. */
  function headOfReading(b: number, { state }: Reading, base: Context): Tensor {
    const { network, noise } = blocks[b]!;
    return network.head(state, { ...base, condition: noise(filled(cleanLevel, [state.shape[0]!])) });
  }

  /** One more token read by block b, and the next one estimated. Where blocks are stacked, all but the first read the state of the one before. */
  function nextProgram(b: number, batchSize: number): Record<string, Tensor> {
    const block = blocks[b]!;
    const cache = cacheInputs(architecture, batchSize);
    const first = ranges[b]![0];
    const before = reshape(input("before", [batchSize], "int32"), [batchSize, 1]);
    const start = reading === "stacked" && b > 0 ? input("below", [batchSize, 1, width]) : block.network.stem(before, plainContext);
    const pasts = block.layers.map((_, i) => cache.past(first + i));
    const { state, kept } = readBy(block, start, plainContext, directly, (i) => following(pasts[i]!, cache.isFilled, cache.positions));
    for (const [i, made] of kept.entries()) cache.keep(first + i, made);
    const isFilled = concat([cache.isFilled, filled(1, [1])], 0);
    const viewOf = (i: number): View => following(joined(pasts[i]!, kept[i]!), isFilled, cache.positions);
    const noisy = { z: input("z", [batchSize, 1, width]), levels: fedLevels(batchSize) };
    const { evidence, logits } = estimate(block, { start, viewOf }, noisy, plainContext);
    const flat = (x: Tensor): Tensor => reshape(x, [batchSize, vocabSize]);
    return { evidence: flat(evidence), logits: flat(logits), state, ...cache.made };
  }
}

interface NoisyTokens {
  /** [batch, tokens, width] */
  readonly z: Tensor;
  readonly levels: NoiseLevels;
}

/** How a layer is run. */
type RunLayer = (layer: Layer) => (h: Tensor, context: Context) => Tensor;

const directly: RunLayer = (layer) => layer;
const keepingInputs: RunLayer = (layer) => checkpoint<[Tensor, Context], Tensor>(layer);

/** What the layers of a block see, by their number in it; undefined as they were built. */
type ViewOf = (layer: number) => View | undefined;

const asBuilt: ViewOf = () => undefined;

function blank([batch, tokens]: readonly [number, number], start: number): Tensor {
  return constant(new Int32Array(batch * tokens).fill(start), [batch, tokens], "int32");
}

function joined(a: KeyValue, b: KeyValue): KeyValue {
  return { key: concat([a.key, b.key], 1), value: concat([a.value, b.value], 1) };
}

/** [batch, 1] -> [batch, 1, 1] */
function overTokens(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, 1]);
}

interface Conditioned {
  readonly network: LanguageNetwork;
  readonly noise: ReturnType<typeof noiseEmbedding>;
}

function conditioned(architecture: LanguageArchitecture, initialGate: 0 | 1): Conditioned {
  const { condWidth, epsilon, width } = architecture;
  const conditioning = adaLNZero({ condWidth, epsilon, targetWidth: width, initialGate });
  return { network: architecture.build(conditioning), noise: noiseEmbedding(condWidth, { activated: false }) };
}

function withStemOf(common: Conditioned, own: Conditioned): Conditioned {
  return { network: { ...own.network, stem: common.network.stem }, noise: common.noise };
}

function createLanguageBlock({ network, noise }: Conditioned, [first, end]: readonly [number, number], embeds: boolean): LanguageBlock {
  const layers = network.layers.slice(first, end);
  return {
    parameters: {
      stem: namedParameters({ parts: { ...(embeds && { stem: network.stem }), noise } }),
      layers: new Map(layers.flatMap((layer, i) => [...namedParameters(layer, `layers.${first + i}`)])),
      head: namedParameters({ parts: { target: network.target, head: network.head } }),
    },
    layers,
    network,
    noise,
  };
}

/** A unit that runs the readings of the blocks before it. */
function stackedUnit(unit: Unit, b: number, units: readonly Unit[], blocks: readonly LanguageBlock[]): Unit {
  const read = new Set(blocks.slice(0, b).flatMap(({ parameters: { stem, layers } }) => [...stem.values(), ...layers.values()]));
  const before = units.slice(0, b).flatMap(({ trainable, frozen }) => [...trainable, ...frozen].filter(([, tensor]) => read.has(tensor)));
  const layersBefore = blocks.slice(0, b).reduce((sum, { layers }) => sum + layers.length, 0);
  return { ...unit, frozen: new Map([...unit.frozen, ...before]), numLayers: unit.numLayers + layersBefore };
}
