// A language model end to end and in four blocks: time of a training step, and of a generated token with kept keys and values.
// Run: npm run build && node bench/language.mjs ['{"width":128,"length":128}']
import { adamW, classNoise, convertLanguage, createCaller, createTrainer, fold, key, nextToken, openDevice, partition } from "diffusion-blocks";
import { autoregressive } from "diffusion-blocks";
import { median } from "../dist/measure/index.js";

const config = { vocabSize: 1024, length: 128, width: 128, numLayers: 8, numHeads: 4, batch: 32, blocks: 4, texts: 8, rounds: 7, ...JSON.parse(process.argv[2] ?? "{}") };
const { batch, blocks, texts, rounds, ...network } = config;
const device = await openDevice("cpu");
const architecture = autoregressive(network);
const inBlocks = (options) => convertLanguage(architecture, { partition: partition({ numBlocks: blocks, overlap: 0.1, noise: classNoise }), ...options });
const methods = { "end to end": nextToken(architecture), blocks: inBlocks({}), "blocks, stacked": inBlocks({ reading: "stacked" }) };
const input = new Int32Array(batch * network.length).map((_, i) => (i * 7) % network.vocabSize);
const labels = new Int32Array(batch);

/** A trainer of one unit, and the initial values of all parameters: time does not depend on them. */
async function opened(method, unit) {
  return createTrainer(method, { unit, device, batchSize: batch, optimizer: adamW(), learningRate: () => 1e-4, seed: 0 });
}

async function valuesOf(method) {
  const values = new Map();
  for (const unit of method.units) {
    const trainer = await opened(method, unit);
    for (const [path, { value }] of trainer.state.parameters) values.set(path, value.slice());
    await trainer.dispose();
  }
  return values;
}

const units = Object.entries(methods).flatMap(([name, method]) => (name === "blocks, stacked" ? [method.units[0], method.units.at(-1)] : [method.units[0]]).map((unit) => ({ name: `${name}, ${unit.name}`, method, unit, times: [] })));
for (const one of units) one.trainer = await opened(one.method, one.unit);
for (let round = -2; round < rounds; round++) {
  for (const one of units) {
    await new Promise((resolve) => setTimeout(resolve, 40)); // Idle threads of other sessions spin for a while after each run: they are given time to sleep.
    const started = performance.now();
    await one.trainer.step({ input, labels });
    if (round >= 0) one.times.push(performance.now() - started);
  }
}
console.log(`network ${JSON.stringify(network)}, batch ${batch}, ${blocks} blocks, threads ${device.threads}`);
const whole = median(units[0].times);
for (const { name, times } of units) console.log(`training step, ${name}: ${median(times).toFixed(0)} ms, ${(whole / median(times)).toFixed(2)} times less than end to end`);
for (const { trainer } of units) await trainer.dispose();

for (const [name, method] of Object.entries(methods)) {
  const values = await valuesOf(method);
  const caller = createCaller(method, { device, values: (path) => values.get(path), batchSize: texts });
  const keys = Array.from({ length: texts }, (_, i) => fold(key("bench"), i));
  const all = [];
  for (let round = -1; round < 3; round++) {
    const generation = method.generate(caller.call, texts, keys);
    const started = performance.now();
    for (let place = 0; place < network.length; place++) await generation.next(new Int32Array(texts).fill(place % network.vocabSize));
    if (round >= 0) all.push((performance.now() - started) / network.length);
  }
  console.log(`generation of ${texts} texts together, ${name}: ${median(all).toFixed(2)} ms for each of their tokens`);
  await caller.dispose();
}
await device.dispose();
