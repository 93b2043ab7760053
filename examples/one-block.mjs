// Trains one block of a vision transformer, alone, and saves it: memory holds this block's parameters, gradients,
// optimiser state and activations.
// Run: node examples/one-block.mjs
import {
  adamW,
  classNoise,
  convert,
  createTrainer,
  generateEmbedded,
  openDevice,
  partition,
  saveUnit,
  schedule,
  trainBatches,
  vit,
} from "diffusion-blocks";
import { folderStore, openRun } from "diffusion-blocks/node";

const [steps, batchSize] = [250, 32];

// Cut the layers, cut the noise range, add noise conditioning.
const network = vit({ imageSize: 32, patchSize: 8, width: 64, numLayers: 6, numHeads: 4, numClasses: 10 });
const dblocks = convert(network, { partition: partition({ numBlocks: 3, noise: classNoise }) });
const unit = dblocks.units[1];

const { train, mean, std } = generateEmbedded();
const batches = trainBatches(train, { batchSize, seed: 0, augmentation: "none", mean, std });
const device = await openDevice("auto");
const optimizer = adamW();
const learningRate = schedule({ kind: "cosine", learningRate: 2e-3, warmupSteps: 20, totalSteps: steps, floor: 0.01 });
const trainer = await createTrainer(dblocks, { unit, device, batchSize, optimizer, learningRate, seed: 0 });

for (let step = 0; step < steps; step++) {
  const { images, labels } = batches.at(step);
  const { loss, metrics } = await trainer.step({ input: images, labels });
  if ((step + 1) % 50 === 0) console.log(`${unit.name} step ${step + 1}: loss ${loss.toFixed(3)}, accuracy ${metrics.accuracy.toFixed(2)}`);
}

const run = await openRun("runs/one-block", { create: true });
const store = await folderStore(run, { configHash: "one-block" }).openUnit(unit.name);
console.log(`saved ${await saveUnit(store, trainer)}`);
await trainer.dispose();
await device.dispose();
