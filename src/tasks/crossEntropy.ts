import { type DiffusionBlocks, levelFeeds } from "../blocks/index.ts";
import { blockOfSigma } from "../diffusion/index.ts";
import { fold, type Key, normal } from "../random.ts";
import type { LabelledBatch, Predictor } from "../train/index.ts";

/** Levels at which blocks are compared. A mean over all of them would be decided by the low ones, where the noisy label gives itself away. */
export const comparedSigmas: readonly number[] = [0.1, 0.3, 1, 10, 80];

/** The cross-entropy of one noise level, in nats. */
export interface LevelCrossEntropy {
  readonly sigma: number;
  /** The block that owns the level, which is asked. */
  readonly block: string;
  readonly crossEntropy: number;
}

/**
 * E[-ln p(label | x, y + sigma·epsilon)] over all items at one noise level, by the block that owns it. At sigmaMax the noisy label says nothing, and
 * this is the cross-entropy of a classifier of x.
 */
export async function crossEntropyAt(
  { architecture: { width, numClasses }, partition, units }: DiffusionBlocks,
  predictor: Pick<Predictor, "call">,
  batches: Iterable<LabelledBatch>,
  sigma: number,
  key: Key,
): Promise<LevelCrossEntropy> {
  const block = units[blockOfSigma(partition, sigma)]!.name;
  const table = (await predictor.call("targets", {})).table as Float32Array; // [classes, width]
  let [total, items, batch] = [0, 0, 0];
  for (const { input, labels, count } of batches) {
    const z = new Float32Array(labels.length * width); // [batch, width]
    normal(fold(key, batch++), z);
    for (const [n, label] of labels.entries()) {
      for (let i = 0; i < width; i++) z[n * width + i] = table[label * width + i]! + sigma * z[n * width + i]!;
    }
    const levels = levelFeeds(new Float32Array(labels.length).fill(sigma), partition.noise.sigmaData);
    const logits = (await predictor.call(block, { input, z, ...levels })).logits as Float32Array;
    for (let n = 0; n < count; n++) total += surprise(logits.subarray(n * numClasses, (n + 1) * numClasses), labels[n]!);
    items += count;
  }
  return { sigma, block, crossEntropy: total / items };
}

/** -ln softmax(logits)[label] */
function surprise(logits: Float32Array, label: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b));
  return top - logits[label]! + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0));
}
