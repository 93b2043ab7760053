import { z } from "zod";
import { count, defineModel, type ModelDefinition, option, recurrentDepthKind, type TextData } from "../define/index.ts";
import {
  type BranchNorm,
  type Conditioning,
  type Context,
  causalAttention,
  defineModule,
  initializers,
  type Layer,
  linear,
  type Module,
  plainConditioning,
  type RecurrentArchitecture,
  type RecurrentNetwork,
  rmsNorm,
  rotary,
  selfAttention,
  swiglu,
} from "../nn/index.ts";
import { text } from "../tasks/index.ts";
import { concat, gather, matmul, mul, parameter, slice, type Tensor } from "../tensor/index.ts";
import {
  checkRotaryHeads,
  condWidthOption,
  epsilonOption,
  type Resolved,
  rotaryBaseOption,
  splitTextOptions,
  swigluWidth,
  transformerOptions,
} from "./options.ts";

/** The options of a language model of recurrent depth. */
export const recurrentDepthOptions = z.strictObject({
  width: transformerOptions.width.default(128),
  numHeads: transformerOptions.numHeads,
  mlpWidth: transformerOptions.swigluWidth,
  preludeLayers: option(count, { description: "layers that embed the text" }).default(2),
  coreLayers: option(count, { flag: "layers", description: "layers of one recurrence" }).default(4),
  codaLayers: option(count, { description: "layers that read the state" }).default(2),
  meanRecurrence: option(count, {
    flag: "recurrences",
    description: "recurrences on average in end-to-end training, and in prediction; initial weights are made for them",
  }).default(32),
  condWidth: condWidthOption("noise"),
  dropout: transformerOptions.dropout,
  rotaryBase: rotaryBaseOption(50_000),
  epsilon: epsilonOption("RMS", 1e-6),
});

/** Options of a language model of recurrent depth, and what it knows of the text. */
export type RecurrentDepthOptions = z.input<typeof recurrentDepthOptions> & TextData;

type RecurrentDepthConfig = Resolved<z.output<typeof recurrentDepthOptions>> & TextData;

/**
 * Huginn (Geiping et al. 2025): a prelude embeds the text as e; a core of layers improves a state, s <-
 * core(adapter([s; e])), as often as one likes; a coda reads it. Layers have norms before and after each branch,
 * attention has biases on queries and keys alone, the table of tokens is also that of the answer.
 *
 * @throws {UsageError} unless the heads divide the width into even parts.
 */
export function recurrentDepth(options: RecurrentDepthOptions): RecurrentArchitecture {
  const { sizes, config: own } = splitTextOptions("recurrent-depth", recurrentDepthOptions, options);
  const { vocabSize, length } = sizes;
  const { width, numHeads, preludeLayers, coreLayers, codaLayers } = own;
  const { mlpWidth = swigluWidth(width), condWidth = Math.min(128, width) } = own;
  const config: RecurrentDepthConfig = { ...own, ...sizes, mlpWidth, condWidth };
  checkRotaryHeads("recurrent-depth", width, numHeads);
  return {
    name: "recurrent-depth",
    parts: { prelude: preludeLayers, core: coreLayers, coda: codaLayers },
    numLayers: preludeLayers + coreLayers + codaLayers,
    vocabSize,
    length,
    width,
    keyWidth: width,
    condWidth: config.condWidth,
    epsilon: config.epsilon,
    meanRecurrence: config.meanRecurrence,
    stateDeviation: deviation(config) * Math.sqrt(width),
    inputType: (batchSize) => ({ dtype: "int32", shape: [batchSize, length] }),
    build: (conditioning) => buildNetwork(config, conditioning),
  };
}

/** √(2/(5 width)), of the initial weights (Takase et al. 2023). */
function deviation({ width }: RecurrentDepthConfig): number {
  return Math.sqrt(2 / (5 * width));
}

function buildNetwork(config: RecurrentDepthConfig, conditioning: Conditioning): RecurrentNetwork {
  const { width, vocabSize, preludeLayers, coreLayers, codaLayers, epsilon } = config;
  const init = initializers.normal(deviation(config));
  const table = parameter([vocabSize + 1, width], init);
  const layers = (count: number, own: Conditioning): Layer[] => Array.from({ length: count }, () => sandwichLayer(config, own));
  const through = (own: readonly Layer[], h: Tensor, context: Context): Tensor => own.reduce((state, layer) => layer(state, context), h);

  // What embeds the text knows no noise.
  const prelude = layers(preludeLayers, plainConditioning(epsilon));
  const core = { adapter: linear(2 * width, width, { init, bias: false }), layers: layers(coreLayers, conditioning) };
  const coda = { norm: rmsNorm(width, epsilon), layers: layers(codaLayers, conditioning), modulation: conditioning.modulation(width) };
  return {
    prelude: defineModule({ table, layers: prelude }, (tokens: Tensor, context: Context) =>
      through(prelude, mul(gather(table, tokens), Math.sqrt(width)), context),
    ),
    core: defineModule(core, (state: Tensor, embedded: Tensor, context: Context) =>
      through(core.layers, core.adapter(concat([state, embedded], 2)), context),
    ),
    coda: defineModule(coda, (state: Tensor, context: Context) => {
      const read = coda.modulation(coda.norm(through(coda.layers, coda.norm(state), context)), context);
      return matmul(read, slice(table, 0, 0, vocabSize), { transB: true });
    }),
  };
}

/** x <- n2(x + attention(n1(x))), x <- n4(x + mlp(n3(x))). */
function sandwichLayer(config: RecurrentDepthConfig, conditioning: Conditioning): Layer {
  const { width, numHeads, mlpWidth, dropout, length, rotaryBase, preludeLayers, coreLayers, codaLayers, meanRecurrence, epsilon } = config;
  const init = initializers.normal(deviation(config));
  const depth = preludeLayers + codaLayers + coreLayers * meanRecurrence;
  const outInit = initializers.normal(deviation(config) / Math.sqrt(2 * depth));
  const sight = { pattern: causalAttention(length), rotation: rotary({ length, headWidth: width / numHeads, base: rotaryBase }) };
  const parts = {
    norm1: conditioning.branchNorm(width, "rms"),
    attention: selfAttention({ width, numHeads, dropout, init, outInit, bias: "query and key", ...sight }),
    after1: rmsNorm(width, epsilon),
    norm2: conditioning.branchNorm(width, "rms"),
    mlp: swiglu({ width, hidden: mlpWidth, dropout, init, outInit }),
    after2: rmsNorm(width, epsilon),
  };
  type Branch = (normed: Tensor, context: Context) => Tensor;
  const step = (h: Tensor, context: Context, norm: Module<BranchNorm>, branch: Branch, after: (x: Tensor) => Tensor): Tensor => {
    const { normed, residual } = norm(h, context);
    return after(residual(branch(normed, context)));
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const attended = step(h, context, parts.norm1, parts.attention, parts.after1);
    return step(attended, context, parts.norm2, parts.mlp, parts.after2);
  });
}

export const recurrentDepthModel: ModelDefinition<z.output<typeof recurrentDepthOptions>, RecurrentArchitecture, TextData> = defineModel({
  name: "recurrent-depth",
  summary: "language model whose core layers run again and again (Huginn)",
  kind: recurrentDepthKind,
  task: text,
  schema: recurrentDepthOptions,
  defaults: { training: { epochs: 5, learningRate: 1e-3, weightDecay: 0, emaDecay: 0.999, batchSize: 32 } },
  build: (options, shape) => recurrentDepth({ ...options, ...shape }),
});
