import type { Tensor } from "../tensor/index.ts";
import { concat, constant, cos, mul, reshape, silu, sin } from "../tensor/index.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";

const maxPeriod = 10000;

/**
 * [cos(x f_k) | sin(x f_k)], f_k = 10000^(−2k/features), k = 0 … features/2 − 1: [batch] -> [batch, features]
 * (Dhariwal & Nichol 2021).
 */
export function sinusoid(x: Tensor, features = 256): Tensor {
  const half = features / 2;
  const frequencies = constant(
    Float32Array.from({ length: half }, (_, k) => Math.exp((-Math.log(maxPeriod) * k) / half)),
    [1, half],
  );
  const angles = mul(reshape(x, [x.shape[0]!, 1]), frequencies);
  return concat([cos(angles), sin(angles)], 1);
}

export interface NoiseEmbeddingOptions {
  /** A last SiLU, as the official ViT has it; without, as DiT. */
  readonly activated?: boolean;
}

/** The noise conditioning of a block, SiLU(linear(SiLU(linear(sinusoid(cNoise))))): [batch] -> [batch, condWidth]. */
export function noiseEmbedding(condWidth: number, { activated = true }: NoiseEmbeddingOptions = {}): Module<(cNoise: Tensor) => Tensor> {
  const parts = { in: linear(256, condWidth), out: linear(condWidth, condWidth) };
  return defineModule(parts, (cNoise: Tensor) => {
    const embedded = parts.out(silu(parts.in(sinusoid(cNoise))));
    return activated ? silu(embedded) : embedded;
  });
}
