import type { Tensor } from "../tensor/index.ts";
import { add, conv2d, parameter, reshape } from "../tensor/index.ts";
import { uniform, zeros } from "./initializers.ts";
import { defineModule, type Module } from "./module.ts";

/**
 * A 3×3 convolution that keeps the image's size, with bias: [batch, in, h, w] -> [batch, out, h, w]. Weights start
 * uniform in ±1/√(9 · in).
 */
export function convolution(inputs: number, outputs: number): Module<(x: Tensor) => Tensor> {
  const kernel = parameter([outputs, inputs, 3, 3], uniform(1 / Math.sqrt(9 * inputs)));
  const bias = parameter([outputs], zeros);
  return defineModule({ kernel, bias }, (x: Tensor) => add(conv2d(x, kernel, { padding: 1 }), reshape(bias, [1, outputs, 1, 1])));
}
