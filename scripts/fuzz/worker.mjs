import { parentPort, workerData } from "node:worker_threads";
import { readMutations } from "./cases.mjs";

// Reads mutated files one after the other. What it is at stands in shared memory, for the watchdog in the main thread.

const { name, seed, first, count, shared } = workerData;
const [index, since, accepted] = [new Int32Array(shared, 0, 1), new Float64Array(shared, 8, 1), new Int32Array(shared, 16, 1)];

await readMutations(name, {
  seed,
  first,
  count,
  onFile: (i, isAccepted) => {
    if (isAccepted) Atomics.add(accepted, 0, 1);
    since[0] = Date.now();
    Atomics.store(index, 0, i);
  },
  onFailure: (i, error, bytes) => parentPort.postMessage({ index: i, error, bytes }),
});
parentPort.postMessage({ done: true });
