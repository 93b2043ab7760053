import { UsageError } from "../errors.ts";
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
import { gather, geluApproximate, layerNorm, parameter, type Tensor } from "../tensor/index.ts";

export interface MaskedDiffusionConfig {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly mlpWidth: number;
  /** Width of the time conditioning. */
  readonly condWidth: number;
  readonly dropout: number;
  readonly epsilon: number;
}

export type MaskedDiffusionOptions = Partial<MaskedDiffusionConfig> &
  Pick<MaskedDiffusionConfig, "vocabSize" | "length" | "width" | "numLayers" | "numHeads">;

/**
 * A transformer over tokens of which some are hidden, for masked diffusion (Shi et al. 2024; Sahoo et al. 2024): attention in both directions with rotary positions, adaptive layer norms for the time as in DiT,
 * one more row in the token table for what is hidden. The last linear starts at zero: the first prediction is uniform.
 *
 * @throws {UsageError} unless the heads divide the width into even parts.
 */
export function maskedDiffusion(options: MaskedDiffusionOptions): TokenArchitecture {
  const defaults = { mlpWidth: 4 * options.width, condWidth: Math.min(128, options.width), dropout: 0, epsilon: 1e-5 };
  const config: MaskedDiffusionConfig = { ...defaults, ...options };
  const { width, numHeads, vocabSize, length, numLayers } = config;
  if (width % (2 * numHeads) !== 0) {
    const message = `masked-diffusion: ${numHeads} heads must divide a width of ${width} into even parts.`;
    throw new UsageError("numHeads", { width, numHeads }, message);
  }
  return {
    name: "masked-diffusion",
    config: { ...config },
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
