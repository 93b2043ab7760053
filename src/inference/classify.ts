import { likeliest } from "../diffusion/index.ts";
import { fold, type Key, key } from "../random.ts";
import type { HostArray } from "../tensor/index.ts";
import { type Caller, type CallerOptions, type Classifier, createCaller, type Unit } from "../train/index.ts";

/** A classifier with its parameters on a device. */
export interface Predictor extends Caller {
  readonly method: Classifier;
  /** Class scores [batch, classes] for a full batch of inputs, by all units or by one alone. */
  predict(input: HostArray, randomness: Key, unit?: Unit): Promise<Float32Array>;
}

export function createPredictor(method: Classifier, options: CallerOptions): Predictor {
  const caller = createCaller(method, options);
  return {
    ...caller,
    method,
    predict: (input, randomness, unit) => method.predict(caller.call, input, options.batchSize, randomness, unit),
  };
}

/** The class with the highest score, for each row of host scores [batch, classes]. */
export function argMax(scores: Float32Array, numClasses: number): Int32Array {
  return Int32Array.from({ length: scores.length / numClasses }, (_, row) =>
    likeliest(scores.subarray(row * numClasses, (row + 1) * numClasses)),
  );
}

/** A labelled batch of which the first `count` items are real and the rest padding. */
export interface LabelledBatch {
  readonly input: HostArray;
  readonly labels: Int32Array;
  readonly count: number;
}

/** Numbers of items and of recognised items, by class. */
export interface ClassCounts {
  readonly totals: Int32Array;
  readonly hits: Int32Array;
}

export interface ClassifyOptions {
  /** Of the noise that predictions start from; 0 by default. */
  readonly seed?: number;
  /** The unit that answers alone; all units together by default. */
  readonly unit?: Unit | undefined;
}

/** Counts what a classifier recognises, by class. */
export async function classCounts(
  predictor: Predictor,
  batches: Iterable<LabelledBatch>,
  { seed = 0, unit }: ClassifyOptions = {},
): Promise<ClassCounts> {
  const { numClasses } = predictor.method;
  const counts = { totals: new Int32Array(numClasses), hits: new Int32Array(numClasses) };
  let batch = 0;
  for (const { input, labels, count } of batches) {
    const predicted = argMax(await predictor.predict(input, fold(fold(key(seed), "evaluation"), batch++), unit), numClasses);
    for (let i = 0; i < count; i++) {
      const label = labels[i]!;
      counts.totals[label]!++;
      if (predicted[i] === label) counts.hits[label]!++;
    }
  }
  return counts;
}

/** Top-1 accuracy over all items, between 0 and 1. */
export async function accuracyOf(predictor: Predictor, batches: Iterable<LabelledBatch>, options: ClassifyOptions = {}): Promise<number> {
  const { totals, hits } = await classCounts(predictor, batches, options);
  return sum(hits) / sum(totals);
}

function sum(values: Int32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
