import type { Initializer, Tensor } from "../tensor/index.ts";
import { reshape, transpose } from "../tensor/index.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";

export interface PatchConfig {
  readonly channels: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
  readonly init?: Initializer | undefined;
}

/**
 * Patches as tokens: [batch, channels, size, size] -> [batch, (size/patch)², width]. The same as a convolution whose kernel
 * equals its stride, as one product; a patch's values are ordered (channel, row, column), as in a kernel [out, channels, kh, kw].
 */
export function patchEmbedding({ channels, imageSize, patchSize, width, init }: PatchConfig): Module<(images: Tensor) => Tensor> {
  const grid = imageSize / patchSize;
  const parts = { project: linear(channels * patchSize * patchSize, width, { init }) };
  return defineModule(parts, (images: Tensor) => {
    const batch = images.shape[0]!;
    const cut = reshape(images, [batch, channels, grid, patchSize, grid, patchSize]);
    const patches = transpose(cut, [0, 2, 4, 1, 3, 5]); // [batch, row, column, channels, patch, patch]
    return parts.project(reshape(patches, [batch, grid * grid, channels * patchSize * patchSize]));
  });
}

/**
 * The inverse for predictions: [batch, (size/patch)², patch² · channels], a token's values ordered (row, column,
 * channel) -> [batch, channels, size, size].
 */
export function unpatchify(
  tokens: Tensor,
  { channels, imageSize, patchSize }: Pick<PatchConfig, "channels" | "imageSize" | "patchSize">,
): Tensor {
  const [batch, grid] = [tokens.shape[0]!, imageSize / patchSize];
  const cut = reshape(tokens, [batch, grid, grid, patchSize, patchSize, channels]);
  return reshape(transpose(cut, [0, 5, 1, 3, 2, 4]), [batch, channels, imageSize, imageSize]);
}
