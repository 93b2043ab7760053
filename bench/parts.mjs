// Memory and time of parts and checkpoints, for the paper's vision transformer (12 layers, width 128, MLP 3072, batch 128):
// node bench/parts.mjs. Memory is that of fresh processes; times are the least of some steps of a block that alternate in one process.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adamW, convert, createTrainer, edmNoise, endToEnd, openDevice, partition } from "../dist/index.js";
import { planUnit } from "../dist/measure/index.js";
import { vit } from "../dist/models/index.js";
import { measurePeak } from "../dist/runtime/node.js";

const [batchSize, optimizer] = [128, adamW()];
const ways = [{}, { parts: 8 }, { checkpointing: true }, { checkpointing: true, parts: 4 }, { checkpointing: true, parts: 8 }];
const network = () => vit({ imageSize: 32, width: 128, mlpWidth: 3072, numLayers: 12, numHeads: 4, numClasses: 100 });
const build = (isBlock) => (isBlock ? convert(network(), { partition: partition({ numBlocks: 3, noise: edmNoise }) }) : endToEnd(network()));
const batch = { input: new Float32Array(batchSize * 3 * 32 * 32).fill(0.5), labels: new Int32Array(batchSize) };
const trainerOf = (method, device, memory) =>
  createTrainer(method, { unit: method.units[0], device, batchSize, optimizer, learningRate: () => 1e-3, seed: 0, ...memory });

async function measure({ isBlock, memory }) {
  const method = build(isBlock);
  const device = await openDevice("cpu");
  globalThis.gc?.();
  const { baseBytes, peakBytes } = await measurePeak(async () => {
    const trainer = await trainerOf(method, device, memory);
    for (let step = 0; step < 3; step++) await trainer.step(batch);
    await trainer.dispose();
  });
  await device.dispose();
  return peakBytes - baseBytes;
}

async function times(rounds) {
  const device = await openDevice("cpu");
  const method = build(true);
  const trainers = [];
  for (const memory of ways) trainers.push(await trainerOf(method, device, memory));
  const least = ways.map(() => Number.POSITIVE_INFINITY);
  for (let round = -1; round < rounds; round++) {
    for (const [i, trainer] of trainers.entries()) {
      await new Promise((resolve) => setTimeout(resolve, 40)); // idle threads of the program before stop spinning
      const { stepMs } = await trainer.step(batch);
      if (round >= 0) least[i] = Math.min(least[i], stepMs);
    }
  }
  for (const trainer of trainers) await trainer.dispose();
  await device.dispose();
  return least;
}

if (process.argv[2]) console.log(await measure(JSON.parse(process.argv[2])));
else {
  const ms = await times(Number(process.env.ROUNDS ?? 7));
  const figures = [];
  for (const isBlock of [false, true]) {
    for (const [i, memory] of ways.entries()) {
      const method = build(isBlock);
      const predicted = planUnit(method, method.units[0], { batchSize, optimizer, ema: false, ...memory }).peak;
      const argument = JSON.stringify({ isBlock, memory });
      const bytes = Number(execFileSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), argument]));
      figures.push({ isBlock, memory, predicted, bytes, ms: isBlock ? ms[i] : undefined });
    }
  }
  const whole = figures[0].bytes;
  console.log("| paper's ViT, batch 128 | predicted MB | measured MB | of plain end to end | of the whole likewise | ms | time |\n| --- | --- | --- | --- | --- | --- | --- |");
  for (const { isBlock, memory, predicted, bytes, ms: time } of figures) {
    const alike = figures.find((other) => !other.isBlock && other.memory === memory).bytes;
    const name = `${isBlock ? "1 of 3 blocks" : "end to end"}${memory.checkpointing ? ", checkpointing" : ""}${memory.parts ? `, ${memory.parts} parts` : ""}`;
    const spent = time === undefined ? ["", ""] : [time.toFixed(0), (time / ms[0]).toFixed(2)];
    const cells = [(predicted / 1e6).toFixed(0), (bytes / 1e6).toFixed(0), (bytes / whole).toFixed(3), (bytes / alike).toFixed(2), ...spent];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
}
