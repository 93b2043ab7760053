import { Worker } from "node:worker_threads";
import {
  checkStep,
  type ImageBatch,
  type ImageSplit,
  type PrefetchedBatches,
  type TrainBatchOptions,
  trainBatches,
} from "../data/index.ts";
import { DataError } from "../errors.ts";

/** The start data of the worker. */
export interface PrefetchTask {
  /** Its arrays are in shared memory. */
  readonly split: ImageSplit;
  readonly options: TrainBatchOptions;
}

/** The worker's answer to a step number. */
export interface PrefetchedBatch extends ImageBatch {
  readonly step: number;
}

/**
 * Makes training batches in a worker thread. It pays where a batch takes a notable part of a step (RandAugment, or a
 * fast device) and a core is free; a batch with crop and flip costs less than handing it over on a busy machine.
 * Images that are not in shared memory are copied there once. Dispose it: the thread ends, and batches still waited
 * for are refused.
 *
 * @param startWorker how the thread is started; the default runs the compiled module beside this one.
 * @throws {DataError} at once, as `trainBatches` does; what goes wrong in the thread reaches the next `at`.
 */
export function prefetchBatches(
  split: ImageSplit,
  options: TrainBatchOptions,
  startWorker: (task: PrefetchTask) => Worker = startCompiled,
): PrefetchedBatches {
  const { stepsPerEpoch } = trainBatches(split, options);
  const worker = startWorker({ split: inSharedMemory(split), options });
  const unanswered = new Map<number, Deferred<ImageBatch>>();
  /** Of the step last asked for and the one after it. */
  const kept = new Map<number, Promise<ImageBatch>>();
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of unanswered.values()) reject(failure);
    unanswered.clear();
  };
  worker.on("message", ({ step, images, labels }: PrefetchedBatch) => {
    unanswered.get(step)?.resolve({ images, labels });
    unanswered.delete(step);
  });
  worker.on("error", fail);
  worker.on("exit", (code) =>
    fail(new DataError("prefetchEnded", { code }, `internal: the thread that makes batches has ended with code ${code}.`)),
  );

  const request = (step: number): Promise<ImageBatch> => {
    const present = kept.get(step) ?? unanswered.get(step)?.promise;
    if (present !== undefined) return present;
    const deferred = defer<ImageBatch>();
    unanswered.set(step, deferred);
    worker.postMessage(step);
    return deferred.promise;
  };
  return {
    stepsPerEpoch,
    at: async (step) => {
      checkStep(step);
      if (failure !== undefined) throw failure;
      const [batch, next] = [request(step), request(step + 1)];
      kept.clear();
      kept.set(step, batch).set(step + 1, next);
      return await batch;
    },
    [Symbol.asyncDispose]: async () => {
      fail(new DataError("prefetchClosed", {}, "These batches are closed. Ask for batches before the prefetcher is disposed."));
      await worker.terminate();
    },
  };
}

function startCompiled(task: PrefetchTask): Worker {
  return new Worker(new URL("./prefetch.worker.js", import.meta.url), { workerData: task });
}

function inSharedMemory(split: ImageSplit): ImageSplit {
  const share = ({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array | Int32Array): SharedArrayBuffer => {
    const shared = new SharedArrayBuffer(byteLength);
    new Uint8Array(shared).set(new Uint8Array(buffer, byteOffset, byteLength));
    return shared;
  };
  const { images } = split;
  const copy = (): ImageSplit["images"] =>
    images instanceof Float32Array ? new Float32Array(share(images)) : new Uint8Array(share(images));
  return { ...split, images: images.buffer instanceof SharedArrayBuffer ? images : copy(), labels: new Int32Array(share(split.labels)) };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A refusal that nobody waits for is no unhandled one. */
function defer<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, "promise"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, ...settle! };
}
