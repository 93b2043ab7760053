import { z } from "zod";
import { classifierKind, count, defineModel, type ImageData, type ModelDefinition, option } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import {
  type ClassifierArchitecture,
  type ClassifierNetwork,
  type Conditioning,
  type Context,
  defineModule,
  dropout,
  initializers,
  type Layer,
  layerNorm,
  linear,
  mlp,
  patchEmbedding,
  selfAttention,
} from "../nn/index.ts";
import { classes } from "../tasks/index.ts";
import { add, concat, expand, type Initializer, parameter, reshape, slice, type Tensor } from "../tensor/index.ts";
import { epsilonOption, type ImageSizes, type Resolved, splitOptions, transformerOptions } from "./options.ts";
import { vitPresets } from "./vitPresets.ts";

/** The options of a vision transformer. */
export const vitOptions = z.strictObject({
  patchSize: option(count, { flag: "patch", value: "pixels", description: "side of a patch" }).default(4),
  width: transformerOptions.width.default(96),
  numLayers: transformerOptions.numLayers.default(6),
  numHeads: transformerOptions.numHeads,
  mlpWidth: transformerOptions.mlpWidth,
  dropout: transformerOptions.dropout,
  labelToken: option(z.enum(["separate", "class"]), {
    value: "place",
    description: "the noisy label as a token of its own (the paper, Appendix B), or in place of the class token (the official code)",
  }).default("separate"),
  extraTokens: option(count, {
    value: "n",
    description: "further learned tokens behind the class token: DeiT's distillation token, registers",
    byDefault: "none",
    advanced: true,
  }).optional(),
  initialization: option(z.enum(["normal", "fan-in"]), {
    description: "initial weights N(0, 0.02²) as published, or uniform in ±1/√in, which learns faster where training is short",
    advanced: true,
  }).default("fan-in"),
  epsilon: epsilonOption("layer", 1e-6),
});

/** Options of a vision transformer, and what it knows of the images: 3 channels by default. */
export type VitOptions = z.input<typeof vitOptions> & ImageSizes;

type VitConfig = Resolved<z.output<typeof vitOptions>> & ImageData;

/**
 * Vision transformer (Dosovitskiy et al. 2021), pre-norm, with learned positions and a class token:
 * images [batch, channels, size, size] -> logits [batch, classes].
 *
 * @throws {UsageError} if the patch does not divide the image, or the heads the width.
 */
export function vit(options: VitOptions): ClassifierArchitecture {
  const { sizes, config: own } = splitOptions("vit", vitOptions, options);
  const config: VitConfig = { ...own, ...sizes, mlpWidth: own.mlpWidth ?? 4 * own.width, extraTokens: own.extraTokens ?? 0 };
  const { imageSize, channels, patchSize, width, numHeads } = config;
  if (imageSize % patchSize !== 0)
    throw new UsageError("patchSize", { imageSize, patchSize }, `vit: patches of ${patchSize} do not divide an image of ${imageSize}.`);
  if (width % numHeads !== 0)
    throw new UsageError("numHeads", { width, numHeads }, `vit: ${numHeads} heads do not divide a width of ${width}.`);
  return {
    name: "vit",
    numLayers: config.numLayers,
    width,
    numClasses: config.numClasses,
    epsilon: config.epsilon,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    build: (conditioning): ClassifierNetwork => ({
      stem: vitStem(config, conditioning),
      layers: Array.from({ length: config.numLayers }, () => vitLayer(config, conditioning)),
      head: vitHead(config, conditioning),
    }),
  };
}

/** [class token, noisy label, patches], plus positions. */
function vitStem(config: VitConfig, { targetWidth }: Conditioning): ClassifierNetwork["stem"] {
  const { width, imageSize, patchSize } = config;
  if (targetWidth !== undefined && targetWidth !== width) throw new Error("internal: the label token has the width of the network");
  const takesTarget = targetWidth !== undefined;
  const ownClassToken = !takesTarget || config.labelToken === "separate";
  const classToken = ownClassToken ? parameter([1, 1, width], initializers.normal(0.02)) : undefined;
  const extra = config.extraTokens;
  const extraTokens = extra > 0 ? parameter([1, extra, width], initializers.normal(0.02)) : undefined;
  const numTokens = (imageSize / patchSize) ** 2 + (ownClassToken ? 1 : 0) + (takesTarget ? 1 : 0) + extra;
  const positions = parameter([1, numTokens, width], initializers.normal(0.02));
  const patches = patchEmbedding({ ...config, init: weights(config) });
  return defineModule({ patches, classToken, extraTokens, positions }, (images: Tensor, target: Tensor | undefined, context: Context) => {
    const batch = images.shape[0]!;
    const lead = [
      classToken && expand(classToken, [batch, 1, width]),
      target && reshape(target, [batch, 1, width]),
      extraTokens && expand(extraTokens, [batch, extra, width]),
    ].filter((token) => token !== undefined);
    return dropout(add(concat([...lead, patches(images)], 1), positions), config.dropout, context);
  });
}

function weights({ initialization }: VitConfig): Initializer {
  return initialization === "normal" ? initializers.normal(0.02) : initializers.fanInUniform;
}

function vitLayer(config: VitConfig, conditioning: Conditioning): Layer {
  const { width, numHeads, mlpWidth, dropout: rate } = config;
  const parts = {
    norm1: conditioning.branchNorm(width),
    attention: selfAttention({ width, numHeads, dropout: rate, init: weights(config) }),
    norm2: conditioning.branchNorm(width),
    mlp: mlp({ width, hidden: mlpWidth, dropout: rate, init: weights(config) }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

/** Token 0, final layer norm, classifier. The classifier starts at zero: the first prediction is uniform. */
function vitHead({ width, numClasses, epsilon }: VitConfig, conditioning: Conditioning): ClassifierNetwork["head"] {
  const parts = {
    norm: layerNorm(width, epsilon),
    modulation: conditioning.modulation(width),
    classifier: linear(width, numClasses, { init: initializers.zeros }),
  };
  return defineModule(parts, (h: Tensor, context: Context, mix: (features: Tensor) => Tensor = (features) => features) => {
    const features = parts.norm(reshape(slice(h, 1, 0, 1), [h.shape[0]!, width])); // [batch, width]
    return parts.classifier(parts.modulation(mix(features), context));
  });
}

export const vitModel: ModelDefinition<z.output<typeof vitOptions>, ClassifierArchitecture, ImageData> = defineModel({
  name: "vit",
  summary: "vision transformer that classifies images",
  kind: classifierKind,
  task: classes,
  schema: vitOptions,
  compared: ["end-to-end", "checkpointing", "greedy", "forward-forward", "blocks", "shallow-twin"],
  presets: vitPresets,
  build: (options, images) => vit({ ...options, ...images }),
});
