import {
  type Context,
  type DenoisingNetwork,
  type DenoisingPaths,
  defineModule,
  initializers,
  linear,
  type Module,
  namedParameters,
  type Part,
  standardNormal,
} from "../../nn/index.ts";
import { fold, type Key, normal } from "../../random.ts";
import {
  add,
  crossEntropy,
  input,
  log,
  matmul,
  mean,
  mul,
  random,
  reduceSum,
  type Shape,
  softmax,
  square,
  sub,
  type Tensor,
} from "../../tensor/index.ts";
import type { ClassTable } from "./embeddings.ts";

/** Class logits of one block from a noisy label [batch, width] and an image. */
export type NoPropBlock = Module<(z: Tensor, images: Tensor, context: Context) => Tensor>;

export function discreteBlock({ image, label, joint, classifier }: DenoisingPaths): NoPropBlock {
  return defineModule({ image, label, joint, classifier }, (z: Tensor, images: Tensor, context: Context) =>
    classifier(joint([image(images, context), label(z, context)])),
  );
}

/** û: the embedding that logits mean, softmax(logits) · table, a convex combination of the classes'. */
export function meanEmbedding(logits: Tensor, { table }: ClassTable): Tensor {
  return matmul(softmax(logits), table);
}

/** p̂(y | z_T): one linear layer. */
export function outputLayer(width: number, numClasses: number): Module<(z: Tensor) => Tensor> {
  return linear(width, numClasses, { init: initializers.fanInUniform });
}

/** ‖a − b‖², summed over coordinates: [batch, width] -> [batch]. */
export function squaredDistance(a: Tensor, b: Tensor): Tensor {
  return reduceSum(square(sub(a, b)), -1);
}

/** The mean of −ln p̂(y | z). */
export function outputLoss(logits: Tensor, labels: Tensor): Tensor {
  return mean(crossEntropy(logits, labels));
}

/** KL(N(√ᾱ u, 1 − ᾱ) ‖ N(0, I)) = ½ (ᾱ ‖u‖² − d ᾱ − d ln(1 − ᾱ)), the mean over the rows of u; `alphaBar` is one number. */
export function priorDivergence(u: Tensor, alphaBar: Tensor): Tensor {
  const width = u.shape.at(-1)!;
  const norms = mean(reduceSum(square(u), -1));
  return mul(0.5, sub(mul(alphaBar, sub(norms, width)), mul(log(sub(1, alphaBar)), width)));
}

/** √ᾱ u + √(1 − ᾱ) ε for a fixed ᾱ. */
export function noisy(u: Tensor, epsilon: Tensor, alphaBar: number): Tensor {
  return add(mul(u, Math.sqrt(alphaBar)), mul(epsilon, Math.sqrt(1 - alphaBar)));
}

/** Standard normal numbers of a training step, of their own for each name. */
export function drawNormal(key: Key, name: string, shape: Shape): Tensor {
  return random(fold(key, name), standardNormal, shape);
}

/** The standard normal numbers that prediction uses at step `index`. */
export function walkNoise(key: Key, index: number, size: number): Float32Array {
  const out = new Float32Array(size);
  normal(fold(fold(key, "walk"), index), out);
  return out;
}

/** Parameters below a part, each path under `owner`. */
export function owned(owner: string, part: Part): Map<string, Tensor> {
  return new Map([...namedParameters(part)].map(([path, tensor]) => [`${owner}/${path}`, tensor]));
}

/** The images of a prediction program. */
export function imagesInput(network: DenoisingNetwork, batchSize: number): Tensor {
  const { dtype, shape } = network.inputType(batchSize);
  return input("input", shape, dtype);
}
