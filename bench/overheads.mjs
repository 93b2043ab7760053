// What surrounds a training step, in one run: node bench/overheads.mjs ['{"width":384,"batch":16}']
// 1. the noise conditioning: one step of each of 3 blocks against one end-to-end step of the same network;
// 2. the whole of training (batches, augmentation, logging, checkpoints every 25 steps) against its steps.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadImages } from "../dist/data/index.js";
import { buildBatches, buildMethod, createTrainer, openDevice, parseRunConfig, trainRun } from "../dist/index.js";
import { median } from "../dist/measure/index.js";
import { adamW, schedule } from "../dist/optim/index.js";

const rounds = 15;
const sizes = JSON.parse(process.argv[2] ?? '{"width":128,"batch":64}');
const config = parseRunConfig([
  { network: { width: sizes.width, numLayers: 12, numHeads: 4 }, training: { batchSize: sizes.batch, epochs: 2 }, execution: { evaluateEvery: 0, saveEvery: 25 } },
]);
const data = await loadImages(config.data.path);
const device = await openDevice("auto");
const learningRate = schedule({ kind: "constant", learningRate: 1e-3, warmupSteps: 0, totalSteps: 1, floor: 1 });
const batches = buildBatches(config, data);
const { batchSize } = config.training;
const bare = async (method, unit) => createTrainer(method, { unit, device, batchSize, optimizer: adamW(), learningRate, seed: 0, clipNorm: 1 });
// Idle threads of other sessions spin for a while after each run: they are given time to sleep.
const rest = () => new Promise((resolve) => setTimeout(resolve, 40));
const timed = async (trainer) => {
  const batch = batches.at(0);
  await rest();
  const start = performance.now();
  await trainer.step(batch);
  return performance.now() - start;
};

const whole = buildMethod({ ...config, method: "end-to-end" }, data);
const blocks = buildMethod(config, data);
const trainers = await Promise.all([...whole.units.map((unit) => bare(whole, unit)), ...blocks.units.map((unit) => bare(blocks, unit))]);
const times = trainers.map(() => []);
for (let round = -2; round < rounds; round++) {
  for (const [i, trainer] of trainers.entries()) {
    const ms = await timed(trainer);
    if (round >= 0) times[i].push(ms);
  }
}
for (const trainer of trainers) await trainer.dispose();
await device.dispose();
const [endToEnd, ...block] = times;
const ratios = endToEnd.map((ms, round) => block.reduce((sum, one) => sum + one[round], 0) / ms);
console.log(`end-to-end step ${median(endToEnd).toFixed(1)} ms; blocks ${block.map((ms) => median(ms).toFixed(1)).join(" + ")} ms; blocks together/end-to-end, median of ${rounds} rounds: ${median(ratios).toFixed(3)}`);

const folder = mkdtempSync(join(tmpdir(), "dblocks-bench-"));
const inSteps = [];
let [first, last] = [undefined, 0];
await trainRun({
  path: join(folder, "run"),
  config,
  unit: "0",
  onStep: (_, { stepMs }) => {
    last = performance.now();
    first ??= last;
    inSteps.push(stepMs);
  },
});
const wall = last - first;
rmSync(folder, { recursive: true });
const steps = inSteps.slice(1).reduce((a, b) => a + b);
console.log(`training ${(wall / (inSteps.length - 1)).toFixed(1)} ms a step, of which the step itself ${((100 * steps) / wall).toFixed(1)} % (${inSteps.length} steps)`);
