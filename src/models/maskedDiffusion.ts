import { z } from "zod";
import { defineModel, type ModelDefinition, maskedTokensKind, type TextData } from "../define/index.ts";
import {
  type Conditioning,
  type Context,
  defineModule,
  initializers,
  type Layer,
  linear,
  mlp,
  rotary,
  selfAttention,
  type TokenArchitecture,
  type TokenNetwork,
} from "../nn/index.ts";
import { text } from "../tasks/index.ts";
import { gather, geluApproximate, layerNorm, parameter, type Tensor } from "../tensor/index.ts";
import { checkRotaryHeads, condWidthOption, epsilonOption, type Resolved, splitTextOptions, transformerOptions } from "./options.ts";

/** The options of a masked diffusion model. */
export const maskedDiffusionOptions = z.strictObject({
  width: transformerOptions.width.default(128),
  numLayers: transformerOptions.numLayers.default(6),
  numHeads: transformerOptions.numHeads,
  mlpWidth: transformerOptions.mlpWidth,
  condWidth: condWidthOption("time"),
  dropout: transformerOptions.dropout,
  epsilon: epsilonOption("layer", 1e-5),
});

/** Options of a masked diffusion model, and what it knows of the text. */
export type MaskedDiffusionOptions = z.input<typeof maskedDiffusionOptions> & TextData;

type MaskedDiffusionConfig = Resolved<z.output<typeof maskedDiffusionOptions>> & TextData;

/**
 * A transformer over tokens of which some are hidden, for masked diffusion (Shi et al. 2024; Sahoo et al. 2024):
 * attention in both directions with rotary positions, adaptive layer norms for the time as in DiT, one more row in
 * the token table for what is hidden. The last linear starts at zero: the first prediction is uniform.
 *
 * @throws {UsageError} unless the heads divide the width into even parts.
 */
export function maskedDiffusion(options: MaskedDiffusionOptions): TokenArchitecture {
  const { sizes, config: own } = splitTextOptions("masked-diffusion", maskedDiffusionOptions, options);
  const { vocabSize, length } = sizes;
  const { width, numHeads, numLayers, mlpWidth = 4 * width, condWidth = Math.min(128, width) } = own;
  const config: MaskedDiffusionConfig = { ...own, ...sizes, mlpWidth, condWidth };
  checkRotaryHeads("masked-diffusion", width, numHeads);
  return {
    name: "masked-diffusion",
    numLayers,
    vocabSize,
    length,
    condWidth: config.condWidth,
    epsilon: config.epsilon,
    inputType: (batchSize) => ({ dtype: "int32", shape: [batchSize, length] }),
    build: (conditioning): TokenNetwork => {
      const table = parameter([vocabSize + 1, width], initializers.normal(0.3)); // of 0.02, 0.3 and 1 the fastest to learn: docs/QUALITY.md
      return {
        stem: defineModule({ table }, (tokens: Tensor) => gather(table, tokens)),
        layers: Array.from({ length: numLayers }, () => tokenLayer(config, conditioning)),
        head: tokenHead(config, conditioning),
      };
    },
  };
}

function tokenLayer({ width, numHeads, mlpWidth, length, dropout }: MaskedDiffusionConfig, conditioning: Conditioning): Layer {
  const init = initializers.xavierUniform;
  const parts = {
    norm1: conditioning.branchNorm(width),
    attention: selfAttention({ width, numHeads, dropout, init, rotation: rotary({ length, headWidth: width / numHeads }) }),
    norm2: conditioning.branchNorm(width),
    mlp: mlp({ width, hidden: mlpWidth, activation: geluApproximate, dropout, init }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

function tokenHead({ width, vocabSize, epsilon }: MaskedDiffusionConfig, conditioning: Conditioning): TokenNetwork["head"] {
  const parts = {
    modulation: conditioning.modulation(width),
    classifier: linear(width, vocabSize, { init: initializers.zeros }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => parts.classifier(parts.modulation(layerNorm(h, { epsilon }), context)));
}

export const maskedDiffusionModel: ModelDefinition<z.output<typeof maskedDiffusionOptions>, TokenArchitecture, TextData> = defineModel({
  name: "masked-diffusion",
  summary: "transformer that makes text by unmasking tokens",
  kind: maskedTokensKind,
  task: text,
  schema: maskedDiffusionOptions,
  defaults: { training: { epochs: 10, learningRate: 3e-3, weightDecay: 0.03, emaDecay: 0.999, batchSize: 16 } },
  build: (options, shape) => maskedDiffusion({ ...options, ...shape }),
});
