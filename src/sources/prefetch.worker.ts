import { parentPort, workerData } from "node:worker_threads";
import { trainBatches } from "../data/index.ts";
import type { PrefetchedBatch, PrefetchTask } from "./prefetch.ts";

/** The other side of `prefetchBatches`: a step number comes in, its batch goes out. */
const { split, options } = workerData as PrefetchTask;
const batches = trainBatches(split, options);

parentPort!.on("message", (step: number) => {
  const { images, labels } = batches.at(step);
  parentPort!.postMessage({ step, images, labels } satisfies PrefetchedBatch, [images.buffer as ArrayBuffer, labels.buffer as ArrayBuffer]);
});
