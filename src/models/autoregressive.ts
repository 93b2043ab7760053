import { UsageError } from "../errors.ts";
import {
  type Conditioning,
  type Context,
  causal,
  defineModule,
  initializers,
  type LanguageArchitecture,
  type LanguageNetwork,
  type Layer,
  linear,
  type Rotation,
  rmsNorm,
  rotary,
  selfAttention,
  swiglu,
  type View,
} from "../nn/index.ts";
import { gather, parameter, type Tensor } from "../tensor/index.ts";

export interface AutoregressiveConfig {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** Heads of keys and values, each for a group of query heads. */
  readonly numKeyHeads: number;
  readonly mlpWidth: number;
  /** Width of the noise conditioning, where there is one. */
  readonly condWidth: number;
  readonly dropout: number;
  readonly rotaryBase: number;
  readonly epsilon: number;
}

export type AutoregressiveOptions = Partial<AutoregressiveConfig> &
  Pick<AutoregressiveConfig, "vocabSize" | "length" | "width" | "numLayers" | "numHeads">;

/**
 * A language model as Llama 2 (Touvron et al. 2023): RMS norms, causal attention with rotary positions and without biases, SwiGLU of 8/3 of the width, input and output tables of their own.
 * The last linear starts at zero: the first prediction is uniform.
 *
 * @throws {UsageError} unless the heads divide the width into even parts, and the key heads the heads.
 */
export function autoregressive(options: AutoregressiveOptions): LanguageArchitecture {
  const config: AutoregressiveConfig = {
    numKeyHeads: options.numHeads,
    mlpWidth: 32 * Math.ceil(options.width / 12),
    condWidth: Math.min(128, options.width),
    dropout: 0,
    rotaryBase: 10_000,
    epsilon: 1e-5,
    ...options,
  };
  const { width, numHeads, numKeyHeads, vocabSize, length, numLayers, rotaryBase } = config;
  if (width % (2 * numHeads) !== 0) {
    const message = `autoregressive: ${numHeads} heads must divide a width of ${width} into even parts.`;
    throw new UsageError("numHeads", { width, numHeads }, message);
  }
  if (numHeads % numKeyHeads !== 0) {
    const message = `autoregressive: ${numKeyHeads} key heads must divide ${numHeads} heads.`;
    throw new UsageError("numKeyHeads", { numHeads, numKeyHeads }, message);
  }
  const headWidth = width / numHeads;
  return {
    name: "autoregressive",
    config: { ...config },
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
      const sight = { view: causal(length), rotation: rotary({ length, headWidth, base: rotaryBase }) };
      const { targetWidth } = conditioning;
      return {
        stem: defineModule({ table }, (tokens: Tensor) => gather(table, tokens)),
        target: targetWidth === undefined ? undefined : linear(targetWidth, width, { init: initializers.zeros, bias: false }),
        layers: Array.from({ length: numLayers }, () => decoderLayer(config, conditioning, sight)),
        head: languageHead(config, conditioning),
      };
    },
  };
}

function decoderLayer(
  { width, numHeads, numKeyHeads, mlpWidth, dropout }: AutoregressiveConfig,
  conditioning: Conditioning,
  sight: { readonly view: View; readonly rotation: Rotation },
): Layer {
  const init = initializers.xavierUniform;
  const parts = {
    norm1: conditioning.branchNorm(width, "rms"),
    attention: selfAttention({ width, numHeads, numKeyHeads, dropout, init, bias: false, ...sight }),
    norm2: conditioning.branchNorm(width, "rms"),
    mlp: swiglu({ width, hidden: mlpWidth, dropout, init }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

function languageHead({ width, vocabSize, epsilon }: AutoregressiveConfig, conditioning: Conditioning): LanguageNetwork["head"] {
  const parts = {
    norm: rmsNorm(width, epsilon),
    modulation: conditioning.modulation(width),
    classifier: linear(width, vocabSize, { init: initializers.zeros, bias: false }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => parts.classifier(parts.modulation(parts.norm(h), context)));
}
