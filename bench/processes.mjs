// Two blocks in two processes of one thread each against one process of two threads that trains one block after the
// other: node bench/processes.mjs ['{"width":128,"batch":64}']. Rounds alternate; samples a second, both blocks counted.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adamW, buildMethod, createTrainer, openDevice, parseRunConfig, registry } from "../dist/index.js";
import { median } from "../dist/measure/index.js";

const { width, batch, rounds, steps } = { width: 128, batch: 64, rounds: 5, steps: 6, ...JSON.parse(process.argv[2] ?? "{}") };
const images = { channels: 3, imageSize: 32, numClasses: 100 };

/** Trains blocks, one after another, whenever the parent asks. */
async function work(threads, blocks) {
  const model = { name: "vit", width, numLayers: 8, numHeads: 4 };
  const method = buildMethod(registry, parseRunConfig(registry, [{ model, method: { name: "blocks", numBlocks: 2 } }]), images);
  const device = await openDevice("cpu", { threads });
  const input = Float32Array.from({ length: batch * 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const labels = Int32Array.from({ length: batch }, (_, i) => i % 10);
  const trainers = [];
  for (const block of blocks)
    trainers.push(await createTrainer(method, { unit: method.units[block], device, batchSize: batch, optimizer: adamW(), learningRate: () => 1e-3, seed: 0 }));
  const run = async (count) => {
    for (const trainer of trainers) for (let step = 0; step < count; step++) await trainer.step({ input, labels });
  };
  await run(2);
  process.on("message", async () => {
    await run(steps);
    process.send("done");
  });
  process.send("ready");
}

if (process.argv[3]) await work(Number(process.argv[3]), JSON.parse(process.argv[4]));
else {
  const start = (threads, blocks) => {
    const child = fork(fileURLToPath(import.meta.url), [process.argv[2] ?? "{}", String(threads), JSON.stringify(blocks)]);
    const heard = () => new Promise((resolve) => child.once("message", resolve));
    return { ready: heard(), round: () => (child.send("go"), heard()), stop: () => child.kill() };
  };
  const one = [start(2, [0, 1])];
  const two = [start(1, [0]), start(1, [1])];
  await Promise.all([...one, ...two].map(({ ready }) => ready));
  const rates = [one, two].map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, processes] of [one, two].entries()) {
      const started = performance.now();
      await Promise.all(processes.map((process) => process.round()));
      rates[i].push((2 * steps * batch * 1000) / (performance.now() - started));
    }
  }
  for (const { stop } of [...one, ...two]) stop();
  const [single, parallel] = rates.map(median);
  console.log(`width ${width}, batch ${batch}: 1 process of 2 threads ${single.toFixed(0)} samples/s, 2 processes of 1 thread ${parallel.toFixed(0)} samples/s (medians of ${rounds}): ${(parallel / single).toFixed(2)} times`);
}
