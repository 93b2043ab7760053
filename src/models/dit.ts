import { UsageError } from "../errors.ts";
import {
  type Conditioning,
  type Context,
  type DenoisingImageNetwork,
  defineModule,
  type ImageArchitecture,
  initializers,
  type Layer,
  linear,
  mlp,
  patchEmbedding,
  selfAttention,
  sinCosPositions,
  unpatchify,
} from "../nn/index.ts";
import { add, gather, geluApproximate, layerNorm, parameter, type Tensor } from "../tensor/index.ts";

export interface DitConfig {
  readonly imageSize: number;
  readonly channels: number;
  readonly patchSize: number;
  /** Width of the residual stream and of the conditioning, a multiple of 4. */
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly mlpWidth: number;
  /** 0 for images without classes. */
  readonly numClasses: number;
  readonly epsilon: number;
}

export type DitOptions = Partial<DitConfig> & Pick<DitConfig, "imageSize" | "width" | "numLayers" | "numHeads" | "numClasses">;

/** The published sizes; all with patches of 2. */
export const ditSizes = {
  "DiT-S/2": { patchSize: 2, width: 384, numLayers: 12, numHeads: 6 },
  "DiT-B/2": { patchSize: 2, width: 768, numLayers: 12, numHeads: 12 },
  "DiT-L/2": { patchSize: 2, width: 1024, numLayers: 24, numHeads: 16 },
  "DiT-XL/2": { patchSize: 2, width: 1152, numLayers: 28, numHeads: 16 },
} as const;

const init = initializers.xavierUniform;

/**
 * Diffusion transformer (Peebles & Xie 2023) without learned variances: a noisy image [batch, channels, size, size] -> an image of its shape, conditioned on the noise level and a class
 * through adaptive layer norms. Positions are fixed; what the head puts out starts at zero.
 *
 * @throws {UsageError} if the patch does not divide the image, the heads or 4 the width.
 */
export function dit(options: DitOptions): ImageArchitecture {
  const config: DitConfig = { channels: 3, patchSize: 2, mlpWidth: 4 * options.width, epsilon: 1e-6, ...options };
  const { imageSize, channels, patchSize, width, numHeads, numClasses, epsilon } = config;
  if (imageSize % patchSize !== 0)
    throw new UsageError("patchSize", { imageSize, patchSize }, `dit: patches of ${patchSize} do not divide an image of ${imageSize}.`);
  if (width % numHeads !== 0 || width % 4 !== 0)
    throw new UsageError("numHeads", { width, numHeads }, `dit: a width of ${width} must be a multiple of ${numHeads} heads and of 4.`);
  return {
    name: "dit",
    config: { ...config },
    numLayers: config.numLayers,
    numClasses,
    condWidth: width,
    epsilon,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    build: (conditioning): DenoisingImageNetwork => ({
      stem: ditStem(config),
      layers: Array.from({ length: config.numLayers }, () => ditLayer(config, conditioning)),
      head: ditHead(config, conditioning),
      labels: numClasses > 0 ? labelTable(numClasses, width) : undefined,
    }),
  };
}

function ditStem(config: DitConfig): DenoisingImageNetwork["stem"] {
  const patches = patchEmbedding({ ...config, init });
  const positions = sinCosPositions(config.imageSize / config.patchSize, config.width);
  return defineModule({ patches }, (z: Tensor) => add(patches(z), positions));
}

function ditLayer({ width, numHeads, mlpWidth }: DitConfig, conditioning: Conditioning): Layer {
  const parts = {
    norm1: conditioning.branchNorm(width),
    attention: selfAttention({ width, numHeads, init }),
    norm2: conditioning.branchNorm(width),
    mlp: mlp({ width, hidden: mlpWidth, activation: geluApproximate, init }),
  };
  return defineModule(parts, (h: Tensor, context: Context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(parts.attention(first.normed, context)), context);
    return second.residual(parts.mlp(second.normed, context));
  });
}

function ditHead(config: DitConfig, conditioning: Conditioning): DenoisingImageNetwork["head"] {
  const { width, patchSize, channels, epsilon } = config;
  const parts = {
    modulation: conditioning.modulation(width),
    project: linear(width, patchSize ** 2 * channels, { init: initializers.zeros }),
  };
  return defineModule(parts, (h: Tensor, context: Context) =>
    unpatchify(parts.project(parts.modulation(layerNorm(h, { epsilon }), context)), config),
  );
}

/** One row for each class and one that says nothing. */
function labelTable(numClasses: number, width: number): NonNullable<DenoisingImageNetwork["labels"]> {
  const table = parameter([numClasses + 1, width], initializers.normal(0.02));
  return defineModule({ table }, (labels: Tensor) => gather(table, labels));
}
