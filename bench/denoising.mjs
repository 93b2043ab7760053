// One denoising step, and a walk of 50 steps, of a diffusion transformer: a block of three against the whole network.
// Run: npm run build && node bench/denoising.mjs ['{"width":384,"numLayers":12}']
import { adamW, convertImages, createCaller, createTrainer, denoisingFeeds, edmNoise, fold, key, openDevice, partition, sampleImages } from "diffusion-blocks";
import { dit } from "diffusion-blocks";
import { median } from "../dist/measure/index.js";

const config = { imageSize: 32, patchSize: 2, width: 384, numLayers: 12, numHeads: 6, numClasses: 10, batch: 4, rounds: 9, ...JSON.parse(process.argv[2] ?? "{}") };
const { batch, rounds, ...network } = config;
const device = await openDevice("cpu");

/** A caller with the initial parameters: time does not depend on their values. */
async function opened(numBlocks) {
  const method = convertImages(dit(network), { partition: partition({ numBlocks, overlap: 0, noise: edmNoise }) });
  const values = new Map();
  for (const unit of method.units) {
    const trainer = await createTrainer(method, { unit, device, batchSize: 1, optimizer: adamW(), learningRate: () => 0, seed: 0 });
    for (const [path, { value }] of trainer.state.parameters) values.set(path, value.slice());
    await trainer.dispose();
  }
  return { method, caller: createCaller(method, { device, values: (path) => values.get(path), batchSize: batch }) };
}

const [whole, blocks] = [await opened(1), await opened(3)];
const labels = new Int32Array(batch).map((_, i) => i % config.numClasses);
const z = new Float32Array(batch * 3 * config.imageSize ** 2).map((_, i) => Math.sin(i));

async function step({ method, caller }, sigma) {
  const { program, feeds } = denoisingFeeds(method, z, sigma, labels);
  await new Promise((resolve) => setTimeout(resolve, 40)); // Idle threads of other sessions spin for a while after each run: they are given time to sleep.
  const started = performance.now();
  await caller.call(program, feeds);
  return performance.now() - started;
}

async function walk({ method, caller }) {
  const keys = [...labels].map((_, i) => fold(key("bench"), i));
  const sampling = { sampler: "euler", numSteps: 50, grid: "equi-probability", guidance: 1, churn: 0 };
  const started = performance.now();
  await sampleImages({ denoiser: method, call: caller.call, batchSize: batch, labels, keys, sampling });
  return performance.now() - started;
}

const times = { whole: [], block: [] };
const [high, middle, low] = [5, 0.3, 0.05];
for (let round = -1; round < rounds; round++) {
  const full = await step(whole, middle);
  const each = [await step(blocks, high), await step(blocks, middle), await step(blocks, low)];
  if (round < 0) continue;
  times.whole.push(full);
  times.block.push(each.reduce((sum, ms) => sum + ms, 0) / 3);
}
const walks = [];
for (let round = 0; round < 3; round++) walks.push([await walk(whole), await walk(blocks)]);
const ratio = (full, block) => (full / block).toFixed(2);
console.log(`network ${JSON.stringify(network)}, batch ${batch}, threads ${device.threads}`);
console.log(`one denoising step: ${median(times.whole).toFixed(1)} ms by the whole network, ${median(times.block).toFixed(1)} ms by a block of three: ${ratio(median(times.whole), median(times.block))} times less`);
const [full, block] = [0, 1].map((i) => median(walks.map((pair) => pair[i])));
console.log(`50 Euler steps: ${(full / 1000).toFixed(2)} s and ${(block / 1000).toFixed(2)} s: ${ratio(full, block)} times less`);
await whole.caller.dispose();
await blocks.caller.dispose();
await device.dispose();
