import { fold, integer, type Key, key, uniform } from "../../random.ts";
import {
  add,
  concat,
  constant,
  gather,
  greaterOrEqual,
  mul,
  oneHot,
  random,
  reshape,
  type Sampler,
  sizeOf,
  slice,
  sub,
  type Tensor,
  where,
} from "../../tensor/index.ts";

/**
 * The way in which a label enters an image. `pixels`: over its first numbers, for networks that read all of the image at once (Hinton
 * 2022). `pattern`: as a faint pattern of its own over the whole image, so that every patch or receptive field sees
 * it (spatially extended labels, Scodellaro et al. 2023).
 */
export type LabelWriting = "pixels" | "pattern";

/** The image with a label in it: [batch, channels, height, width] and int32 [batch] -> the image's shape. */
export function writeLabel(
  images: Tensor,
  labels: Tensor,
  { numClasses, brightness, writing }: { readonly numClasses: number; readonly brightness: number; readonly writing: LabelWriting },
): Tensor {
  if (writing === "pixels") return writePixels(images, labels, numClasses, brightness);
  const size = sizeOf(images.shape) / images.shape[0]!;
  const patterns = constant(labelPatterns(numClasses, size), [numClasses, size]);
  return add(images, mul(reshape(gather(patterns, labels), images.shape), brightness));
}

/** ±1 for each number of an image, drawn once for each class. */
function labelPatterns(numClasses: number, size: number): Float32Array {
  const out = new Float32Array(numClasses * size);
  uniform(key("forward-forward label"), out);
  return out.map((u) => (u < 0.5 ? -1 : 1));
}

/**
 * The image with a label written over its first `numClasses` numbers, one-hot, `brightness` where it is set and 0 elsewhere (Hinton 2022,
 * Section 3.3): [batch, channels, height, width] and int32 [batch] -> the image's shape.
 */
function writePixels(images: Tensor, labels: Tensor, numClasses: number, brightness: number): Tensor {
  const [batch, ...rest] = images.shape as [number, ...number[]];
  const size = rest.reduce((product, d) => product * d, 1);
  const flat = reshape(images, [batch, size]);
  const label = mul(oneHot(labels, numClasses), brightness);
  return reshape(concat([label, slice(flat, 1, numClasses, size)], 1), images.shape);
}

/** Wrong labels, uniform over all classes but the right one: int32 [batch] -> int32 [batch]. */
export function wrongLabels(labels: Tensor, numClasses: number, key: Key): Tensor {
  const whole = (value: number): Tensor => constant([value], [], "int32");
  const shifted = add(labels, random(key, otherClass(numClasses), labels.shape, "int32"));
  return sub(shifted, where(greaterOrEqual(shifted, whole(numClasses)), whole(numClasses), whole(0)));
}

/** The distance of a wrong class from the right one, around the circle of classes: 1 to numClasses − 1. */
function otherClass(numClasses: number): Sampler {
  return {
    name: `otherClass(${numClasses})`,
    fill: (out, key) => {
      const offsets = out as Int32Array;
      for (let i = 0; i < offsets.length; i++) offsets[i] = 1 + integer(fold(key, i), numClasses - 1);
    },
  };
}
