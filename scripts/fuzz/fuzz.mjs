#!/usr/bin/env node
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

// npm run fuzz: mutated files for every reader, each in a worker with a watchdog. Exits with 1 if a reader crashes, hangs for 2 s, takes
// 300 MB beyond the file, or fails by an error that is not one of src/errors.ts. Files that did so are kept, for scripts/fuzz/corpus.

const { values } = parseArgs({
  options: {
    mutations: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    first: { type: "string", default: "0" },
    out: { type: "string", default: join(tmpdir(), "dblocks-fuzz-found") },
  },
});
const [mutations, seed, firstIndex] = [values.mutations, values.seed, values.first].map(Number);

const longestMs = 2000;
const mostBytes = 300e6;
const resourceLimits = { maxOldGenerationSizeMb: 1024, stackSizeMb: 4 };

const { readers } = await import("./readers.mjs");
const names = Object.keys(readers).filter((name) => values.only === undefined || name === values.only);
if (names.length === 0) throw new Error(`There is no reader "${values.only}". Readers: ${Object.keys(readers).join(", ")}`);

let failures = 0;
for (const name of names) {
  const result = await fuzz(name);
  failures += result.failures;
  const { accepted, count, seconds, slowestMs, peakBytes } = result;
  const figures = [
    `${count} files`,
    `${accepted} accepted`,
    `${count - accepted} refused`,
    `slowest ${slowestMs} ms`,
    `+${Math.round(peakBytes / 1e6)} MB`,
  ];
  console.log(
    `${name.padEnd(16)} ${figures.join(", ")}, ${seconds.toFixed(1)} s${result.failures > 0 ? `, ${result.failures} FAILURES` : ""}`,
  );
}
console.log(
  failures === 0 ? `no failures in ${names.length} readers, seed ${seed}` : `${failures} failures; their files are in ${values.out}`,
);
process.exitCode = failures === 0 ? 0 : 1;

async function fuzz(name) {
  const started = performance.now();
  const end = firstIndex + mutations;
  let [at, accepted, failures, slowestMs, peakBytes] = [firstIndex, 0, 0, 0, 0];
  const report = (index, error, bytes) => {
    if (failures++ >= 20) return;
    mkdirSync(values.out, { recursive: true });
    const file = join(values.out, `${name.replaceAll(" ", "-")}-${seed}-${index}`);
    if (bytes !== undefined) writeFileSync(file, bytes);
    console.log(
      `${name}, file ${index}: ${error}\n  again: node scripts/fuzz/fuzz.mjs --only "${name}" --seed ${seed} --first ${index} --mutations 1`,
    );
  };
  while (at < end) {
    const run = await work(name, at, end - at, report);
    accepted += run.accepted;
    slowestMs = Math.max(slowestMs, run.slowestMs);
    const suspect = run.slow ?? run.heavy;
    if (suspect !== undefined) {
      // Garbage of many files, a busy machine, or this file? Alone it shows.
      const alone = await work(name, suspect, 1, () => {});
      if (alone.slow !== undefined) report(suspect, `no answer for ${longestMs} ms, twice`);
      if (alone.peakBytes > mostBytes) report(suspect, `${Math.round(alone.peakBytes / 1e6)} MB beyond the file`);
      peakBytes = Math.max(peakBytes, alone.peakBytes);
    } else peakBytes = Math.max(peakBytes, run.peakBytes);
    at = run.next;
  }
  return { accepted, failures, count: mutations, seconds: (performance.now() - started) / 1000, slowestMs, peakBytes };
}

/** Reads files from `first` on in one worker, until they are done or one hangs, takes too much memory, or ends the worker. */
async function work(name, first, count, report) {
  const shared = new SharedArrayBuffer(24);
  const [index, since, accepted] = [new Int32Array(shared, 0, 1), new Float64Array(shared, 8, 1), new Int32Array(shared, 16, 1)];
  since[0] = Number.POSITIVE_INFINITY;
  index[0] = first - 1;
  globalThis.gc?.();
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), {
    workerData: { name, seed, first, count, shared },
    resourceLimits,
  });
  let [slowestMs, peakBytes, baseline, isDone, heavy, slow] = [0, 0, undefined, false, undefined, undefined];
  const stop = () => void worker.terminate();
  const watch = setInterval(() => {
    const i = Atomics.load(index, 0);
    if (i < first) return; // it still prepares
    const rss = process.memoryUsage.rss();
    baseline ??= rss;
    peakBytes = Math.max(peakBytes, rss - baseline);
    const ms = Date.now() - since[0];
    if (ms > slowestMs) slowestMs = ms;
    if (ms > longestMs) {
      slow = i;
      clearInterval(watch);
      stop();
    } else if (rss - baseline > mostBytes && heavy === undefined) {
      heavy = i;
      stop();
    }
  }, 10);
  const end = new Promise((resolve) => {
    worker.on("message", (message) => {
      if (message.done) isDone = true;
      else report(message.index, message.error, message.bytes);
    });
    worker.on("error", (error) => report(Atomics.load(index, 0), `the worker ended: ${error.stack}`));
    worker.on("exit", () => resolve(undefined));
  });
  await end;
  clearInterval(watch);
  return { accepted: accepted[0], slowestMs, peakBytes, heavy, slow, next: isDone ? first + count : Math.max(first, index[0]) + 1 };
}
