// Depth at a fixed size of a block: node bench/depth.mjs [megabytes]
// 1. peak memory of one block of 3 layers against end-to-end training, 6 to 96 layers, in fresh processes; 2. the deepest
// network that fits a budget end to end (also with checkpoints and parts), and in blocks, each trained for 20 steps.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adamW, buildMethod, createTrainer, openDevice, parseRunConfig, registry, schedule } from "../dist/index.js";
import { planUnit } from "../dist/measure/index.js";
import { measurePeak } from "../dist/runtime/node.js";

const budget = 1e6 * Number(process.argv[2] ?? 2000);
const [batch, layersPerBlock] = [64, 3];
const optimizer = adamW();
const images = { channels: 3, imageSize: 32, numClasses: 100 };

function build({ layers, blocks }) {
  const model = { name: "vit", width: 64, mlpWidth: 1024, numLayers: layers, numHeads: 4 };
  const method = blocks ? { name: "blocks", numBlocks: layers / layersPerBlock } : "end-to-end";
  return buildMethod(registry, parseRunConfig(registry, [{ model, method }]), images);
}

async function train({ memory, steps, ...network }) {
  const method = build(network);
  const device = await openDevice("cpu", { threads: 1 });
  const input = Float32Array.from({ length: batch * 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const labels = Int32Array.from({ length: batch }, (_, i) => i % 10);
  const learningRate = schedule({ kind: "constant", learningRate: 3e-4, warmupSteps: 0, totalSteps: 1, floor: 1 });
  const losses = [];
  globalThis.gc?.();
  const { baseBytes, peakBytes } = await measurePeak(async () => {
    const trainer = await createTrainer(method, { unit: method.units[0], device, batchSize: batch, optimizer, learningRate, seed: 0, clipNorm: 1, ...memory });
    for (let step = 0; step < steps; step++) losses.push((await trainer.step({ input, labels })).loss);
    await trainer.dispose();
  });
  await device.dispose();
  return { bytes: peakBytes - baseBytes, first: losses[0], last: losses.at(-1) };
}

const inFreshProcess = (request) => JSON.parse(execFileSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), "run", JSON.stringify(request)]));
const predicted = ({ memory, ...network }) => {
  const method = build(network);
  return planUnit(method, method.units[0], { batchSize: batch, optimizer, ema: false, ...memory }).peak;
};
const megabytes = (bytes) => (bytes / 1e6).toFixed(0);

/** The deepest network, in multiples of a block, that is predicted to fit; memory grows with depth. */
function deepest(way) {
  let [fits, fails] = [0, 2];
  while (predicted({ ...way, layers: fails * layersPerBlock }) <= budget) [fits, fails] = [fails, 2 * fails];
  while (fails - fits > 1) {
    const middle = (fits + fails) >> 1;
    if (predicted({ ...way, layers: middle * layersPerBlock }) <= budget) fits = middle;
    else fails = middle;
  }
  return fits * layersPerBlock;
}

if (process.argv[2] === "run") console.log(JSON.stringify(await train(JSON.parse(process.argv[3]))));
else {
  console.log("| layers | a block of 3, predicted MB | measured MB | end to end, predicted MB | measured MB |\n| --- | --- | --- | --- | --- |");
  for (const layers of [6, 12, 24, 48, 96]) {
    const cells = [true, false].flatMap((blocks) => {
      const request = { layers, blocks, memory: {} };
      return [megabytes(predicted(request)), megabytes(inFreshProcess({ ...request, steps: 3 }).bytes)];
    });
    console.log(`| ${layers} | ${cells.join(" | ")} |`);
  }
  console.log(`\n| within ${megabytes(budget)} MB | layers | predicted MB | measured MB | loss, step 1 to 20 |\n| --- | --- | --- | --- | --- |`);
  for (const [name, memory] of [["end to end", {}], ["end to end, --checkpointing --parts 4", { checkpointing: true, parts: 4 }]]) {
    const layers = deepest({ blocks: false, memory });
    const { bytes, first, last } = inFreshProcess({ layers, blocks: false, memory, steps: 20 });
    console.log(`| ${name} | ${layers} | ${megabytes(predicted({ layers, blocks: false, memory }))} | ${megabytes(bytes)} | ${first.toFixed(2)} to ${last.toFixed(2)} |`);
  }
  const layers = 480;
  const request = { layers, blocks: true, memory: {} };
  const { bytes, first, last } = inFreshProcess({ ...request, steps: 20 });
  console.log(`| blocks of 3, the first of ${layers / 3} | ${layers} | ${megabytes(predicted(request))} | ${megabytes(bytes)} | ${first.toFixed(2)} to ${last.toFixed(2)} |`);
}
