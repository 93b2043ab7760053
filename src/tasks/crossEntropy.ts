import { blockOfSigma, levelsAt, negativeLogSoftmax } from "../diffusion/index.ts";
import { type ClassDenoiser, type LabelledBatch, noisyEmbeddings } from "../inference/index.ts";
import { fold, type Key, normals } from "../random.ts";
import type { Call, Unit } from "../train/index.ts";

/**
 * Levels at which blocks are compared. A mean over all of them would be decided by the low ones, where the noisy
 * label gives itself away.
 */
export const comparedSigmas: readonly number[] = [0.1, 0.3, 1, 10, 80];

/** The cross-entropy of one noise level, in nats. */
export interface LevelCrossEntropy {
  readonly sigma: number;
  /** The block that owns the level, which is asked. */
  readonly block: string;
  readonly crossEntropy: number;
}

/**
 * E[-ln p(label | x, y + sigma·epsilon)] over all items at one noise level, by the block that owns it. At sigmaMax
 * the noisy label says nothing, and this is the cross-entropy of a classifier of x.
 */
export async function crossEntropyAt(
  { width, numClasses, partition, units, table: targets, estimates }: ClassDenoiser & { readonly units: readonly Unit[] },
  call: Call,
  batches: Iterable<LabelledBatch>,
  sigma: number,
  key: Key,
): Promise<LevelCrossEntropy> {
  const block = blockOfSigma(partition, sigma);
  const { table } = await call(targets, {}); // [classes, width]
  let [total, items, batch] = [0, 0, 0];
  for (const { input, labels, count } of batches) {
    const noise = normals(fold(key, batch++), labels.length * width);
    const z = noisyEmbeddings(labels, table, noise, sigma); // [batch, width]
    const { logits } = await call(estimates[block]!, { input, z, ...levelsAt(sigma, partition.noise, labels.length) });
    for (let n = 0; n < count; n++) total += negativeLogSoftmax(logits.subarray(n * numClasses, (n + 1) * numClasses), labels[n]!);
    items += count;
  }
  return { sigma, block: units[block]!.name, crossEntropy: total / items };
}
