import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generateEmbedded, type TrainBatchOptions, trainBatches } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { type PrefetchTask, prefetchBatches } from "./prefetch.ts";

let folder: string;

// Threads of Node 20 run no TypeScript: the worker is bundled as it stands.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dblocks-worker-"));
  const entry = fileURLToPath(new URL("./prefetch.worker.ts", import.meta.url));
  await build({
    configFile: false,
    logLevel: "silent",
    build: { ssr: entry, outDir: folder, rolldownOptions: { output: { entryFileNames: "worker.mjs" } } },
  });
});
afterAll(() => rm(folder, { recursive: true }));

const startBundled = (task: PrefetchTask): Worker => new Worker(join(folder, "worker.mjs"), { workerData: task });

const { train, mean, std } = generateEmbedded({ train: 60, test: 10 });
const options: TrainBatchOptions = { batchSize: 16, seed: 1, augmentation: "randaugment", mean, std };

test("batches are the ones that trainBatches makes, in sequence, repeated, out of order and all at once", async () => {
  const expected = trainBatches(train, options);
  await using prefetched = prefetchBatches(train, options, startBundled);
  expect(prefetched.stepsPerEpoch).toBe(3);
  for (const step of [0, 1, 1, 2, 3, 9, 2, 3]) expect(await prefetched.at(step)).toEqual(expected.at(step));
  const steps = [4, 5, 8, 4, 0];
  expect(await Promise.all(steps.map((step) => prefetched.at(step)))).toEqual(steps.map((step) => expected.at(step)));
});

test("images in shared memory are not copied", async () => {
  const images = new Uint8Array(new SharedArrayBuffer(train.images.length));
  images.set(train.images);
  let task: PrefetchTask | undefined;
  await using prefetched = prefetchBatches({ ...train, images }, options, (given) => {
    task = given;
    return startBundled(given);
  });
  expect(await prefetched.at(1)).toEqual(trainBatches(train, options).at(1));
  expect(task!.split.images.buffer).toBe(images.buffer);
});

test("disposal ends the thread and refuses batches that are still waited for", async () => {
  let exits = 0;
  const prefetched = prefetchBatches(train, options, (task) => startBundled(task).once("exit", () => exits++));
  const waiting = prefetched.at(0);
  const refused = expect(waiting).rejects.toMatchObject({ code: "prefetchClosed" });
  await prefetched[Symbol.asyncDispose]();
  await refused;
  expect(exits).toBe(1);
  await expect(prefetched.at(1)).rejects.toThrow(DataError);
});

test("what goes wrong in the thread reaches the caller, at this batch and at later ones", async () => {
  const broken = (task: PrefetchTask): Worker => startBundled({ ...task, options: { ...task.options, batchSize: 1000 } });
  await using prefetched = prefetchBatches(train, options, broken);
  await expect(prefetched.at(0)).rejects.toThrow("A batch of 1000 cannot be drawn from 60 training images");
  await expect(prefetched.at(1)).rejects.toThrow("A batch of 1000");
});

test("what does not fit is refused at once, before a thread is started", () => {
  const never = (): Worker => expect.unreachable("a thread was started");
  expect(() => prefetchBatches(train, { ...options, batchSize: 61 }, never)).toThrow(DataError);
});
