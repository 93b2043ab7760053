import { type VitOptions, vit } from "../../src/models/index.ts";
import type { ClassifierArchitecture } from "../../src/nn/index.ts";
import { fold, integer, key, normal } from "../../src/random.ts";
import type { Batch } from "../../src/train/index.ts";

/** A vision transformer that trains in milliseconds: images of one channel, 4 x 4, four patches. */
export function tinyVit(options: Partial<VitOptions> = {}): ClassifierArchitecture {
  return vit({ imageSize: 4, patchSize: 2, channels: 1, width: 12, numLayers: 3, numHeads: 2, numClasses: 4, mlpWidth: 16, ...options });
}

/** Images whose mean depends on the class: noise of deviation 0.5 around a pattern for each class. A pure function of the index. */
export function tinyBatch(index: number, batchSize: number, numClasses = 4): Batch {
  const own = fold(key("tiny data"), index);
  const labels = Int32Array.from({ length: batchSize }, (_, i) => integer(fold(fold(own, "label"), i), numClasses));
  const images = new Float32Array(batchSize * 16);
  normal(fold(own, "image"), images);
  for (let i = 0; i < images.length; i++) images[i] = 0.5 * images[i]! + patterns[labels[Math.floor(i / 16)]! * 16 + (i % 16)]!;
  return { input: images, labels };
}

const patterns = new Float32Array(64 * 16);
normal(key("tiny patterns"), patterns);
