import { z } from "zod";
import { count, defineModel, type ModelDefinition, nextTokenKind, option, type TextData } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import {
  type AttentionPattern,
  type Conditioning,
  type Context,
  causalAttention,
  defineModule,
  initializers,
  type LanguageArchitecture,
  type LanguageNetwork,
  type Layer,
  layerNorm,
  learnedPositions,
  linear,
  lowRank,
  mlp,
  type Rotation,
  rmsNorm,
  rotary,
  selfAttention,
  swiglu,
} from "../nn/index.ts";
import { text } from "../tasks/index.ts";
import { gather, gelu, geluApproximate, parameter, type Tensor } from "../tensor/index.ts";
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

const usualBase = 10_000;

/** The options of a language model. */
export const autoregressiveOptions = z.strictObject({
  width: transformerOptions.width.default(128),
  numLayers: transformerOptions.numLayers.default(8),
  numHeads: transformerOptions.numHeads,
  numKeyHeads: option(count, {
    flag: "key-heads",
    description: "heads of keys and values, each for a group of query heads",
    byDefault: "as many as attention heads",
  }).optional(),
  mlpWidth: transformerOptions.eitherWidth,
  condWidth: condWidthOption("noise"),
  dropout: transformerOptions.dropout,
  rotaryBase: rotaryBaseOption(usualBase),
  epsilon: epsilonOption("RMS or layer", 1e-5),
  positions: option(z.enum(["rotary", "learned"]), {
    value: "kind",
    description: "positions that turn queries and keys, or learned vectors that are added to the tokens, as GPT-2's",
    byDefault: "rotary",
    advanced: true,
  }).optional(),
  norm: option(z.enum(["rms", "layer"]), { value: "kind", description: "norms", byDefault: "rms", advanced: true }).optional(),
  mlp: option(z.enum(["swiglu", "gelu", "gelu-tanh"]), {
    value: "kind",
    description: "the MLP: gated, or plain with GELU or its approximation by tanh",
    byDefault: "swiglu",
    advanced: true,
  }).optional(),
  bias: option(z.boolean(), { description: "biases of attention and MLP", byDefault: "off", advanced: true }).optional(),
  lora: option(count, {
    value: "rank",
    description:
      "train adapters of this rank beside the linear maps of the layers, all that was pretrained standing still (dblocks finetune)",
    byDefault: "none",
    advanced: true,
  }).optional(),
});

/** Options of a language model, and what it knows of the text. */
export type AutoregressiveOptions = z.input<typeof autoregressiveOptions> & TextData;

type AutoregressiveConfig = Resolved<Omit<z.output<typeof autoregressiveOptions>, "lora">> & TextData;

/**
 * A language model as Llama 2 (Touvron et al. 2023): RMS norms, causal attention with rotary positions and without
 * biases, SwiGLU of 8/3 of the width, input and output tables of their own. With learned positions, layer norms,
 * biases and a GELU of four times the width it is GPT-2 (Radford et al. 2019). The last linear starts at zero: the
 * first prediction is uniform.
 *
 * @throws {UsageError} unless the heads divide the width into even parts, and the key heads the heads.
 */
export function autoregressive(options: AutoregressiveOptions): LanguageArchitecture {
  const { sizes, config: chosen } = splitTextOptions("autoregressive", autoregressiveOptions, options);
  const { lora, ...own } = chosen;
  const { vocabSize, length } = sizes;
  const { width, numHeads, numLayers, rotaryBase, numKeyHeads = numHeads } = own;
  const { positions = "rotary", norm = "rms", mlp: mlpKind = "swiglu", bias = false, condWidth = Math.min(128, width) } = own;
  const { mlpWidth = mlpKind === "swiglu" ? swigluWidth(width) : 4 * width } = own;
  const config: AutoregressiveConfig = { ...own, ...sizes, numKeyHeads, mlpWidth, condWidth, positions, norm, mlp: mlpKind, bias };
  checkHeads(positions, own);
  if (numHeads % numKeyHeads !== 0) {
    const message = `autoregressive: ${numKeyHeads} key heads must divide ${numHeads} heads.`;
    throw new UsageError("numKeyHeads", { numHeads, numKeyHeads }, message);
  }
  const headWidth = width / numHeads;
  const architecture: LanguageArchitecture = {
    name: "autoregressive",
    numLayers,
    vocabSize,
    length,
    width,
    keyWidth: numKeyHeads * headWidth,
    condWidth: config.condWidth,
    epsilon: config.epsilon,
    inputType: (batchSize) => ({ dtype: "int32", shape: [batchSize, length] }),
    build: (conditioning): LanguageNetwork => {
      const table = parameter([vocabSize + 1, width], initializers.normal(1)); // of 0.02, 0.3 and 1 the fastest to learn: docs/QUALITY.md
      const sight = {
        pattern: causalAttention(length),
        ...(positions === "rotary" && { rotation: rotary({ length, headWidth, base: rotaryBase }) }),
      };
      const placed = positions === "learned" ? learnedPositions(length, width, initializers.normal(0.02)) : undefined;
      const { targetWidth } = conditioning;
      return {
        stem: defineModule({ table, positions: placed }, (tokens: Tensor, context: Context) => {
          const embedded = gather(table, tokens);
          return placed === undefined ? embedded : placed(embedded, context);
        }),
        target: targetWidth === undefined ? undefined : linear(targetWidth, width, { init: initializers.zeros, bias: false }),
        layers: Array.from({ length: numLayers }, () => decoderLayer(config, conditioning, sight)),
        head: languageHead(config, conditioning),
      };
    },
  };
  return lora === undefined ? architecture : lowRank(architecture, lora);
}

function checkHeads(positions: "rotary" | "learned", { width, numHeads, rotaryBase }: z.output<typeof autoregressiveOptions>): void {
  if (positions === "rotary") checkRotaryHeads("autoregressive", width, numHeads);
  else if (rotaryBase !== usualBase)
    throw new UsageError("rotaryBase", { rotaryBase }, "autoregressive: learned positions have no rotary base. Choose one of the two.");
  else if (width % numHeads !== 0)
    throw new UsageError("numHeads", { width, numHeads }, `autoregressive: ${numHeads} heads do not divide a width of ${width}.`);
}

function decoderLayer(
  { width, numHeads, numKeyHeads, mlpWidth, dropout, norm, mlp: mlpKind, bias }: AutoregressiveConfig,
  conditioning: Conditioning,
  sight: { readonly pattern: AttentionPattern; readonly rotation?: Rotation },
): Layer {
  const init = initializers.xavierUniform;
  const feed = { width, hidden: mlpWidth, dropout, init, bias };
  const parts = {
    norm1: conditioning.branchNorm(width, norm),
    attention: selfAttention({ width, numHeads, numKeyHeads, dropout, init, bias, ...sight }),
    norm2: conditioning.branchNorm(width, norm),
    mlp: mlpKind === "swiglu" ? swiglu(feed) : mlp({ ...feed, activation: mlpKind === "gelu" ? gelu : geluApproximate }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

function languageHead({ width, vocabSize, epsilon, norm }: AutoregressiveConfig, conditioning: Conditioning): LanguageNetwork["head"] {
  const parts = {
    norm: (norm === "rms" ? rmsNorm : layerNorm)(width, epsilon),
    modulation: conditioning.modulation(width),
    classifier: linear(width, vocabSize, { init: initializers.zeros, bias: false }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => parts.classifier(parts.modulation(parts.norm(h), context)));
}

export const autoregressiveModel: ModelDefinition<z.output<typeof autoregressiveOptions>, LanguageArchitecture, TextData> = defineModel({
  name: "autoregressive",
  summary: "Llama-like language model that writes token by token",
  kind: nextTokenKind,
  task: text,
  schema: autoregressiveOptions,
  compared: ["end-to-end", "checkpointing", "blocks", "shallow-twin"],
  defaults: { training: { epochs: 5, learningRate: 2e-3, weightDecay: 0, emaDecay: 0.999, batchSize: 32 } },
  build: (options, shape) => autoregressive({ ...options, ...shape }),
});
