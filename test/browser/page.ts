// What a page of a user does: everything comes from the package by its name.
import {
  adamW,
  classNoise,
  convert,
  createTrainer,
  generateEmbedded,
  openDevice,
  partition,
  train,
  trainBatches,
  trainedClassifier,
  vit,
} from "diffusion-blocks";

const [batchSize, steps] = [32, 20];
const data = generateEmbedded({ train: 640, test: 64 });
const { mean, std, classNames, numClasses } = data;
const network = vit({ imageSize: 32, patchSize: 8, width: 48, numLayers: 3, numHeads: 4, numClasses });
const method = convert(network, { partition: partition({ numBlocks: 3, noise: classNoise }) });
const batches = trainBatches(data.train, { batchSize, seed: 0, augmentation: "none", mean, std });
const batchOf = (step: number) => ({ input: batches.at(step).images, labels: batches.at(step).labels });

async function run() {
  const device = await openDevice("auto");
  const losses: Record<string, number[]> = {};
  const options = { device, batchSize, optimizer: adamW(), learningRate: () => 3e-3, seed: 0 };
  const { values } = await train(method, {
    ...options,
    batches: { stepsPerEpoch: batches.stepsPerEpoch, at: () => batchOf(0) }, // one batch: 20 steps are enough to learn it
    steps,
    onStep: ({ name }, { loss }) => {
      losses[name] = [...(losses[name] ?? []), loss];
    },
  });
  const trainer = await createTrainer(method, { ...options, unit: method.units[1]! });
  const first = await trainer.step(batchOf(0));
  await trainer.dispose();
  const info = { name: data.name, channels: 3, height: 32, width: 32, numClasses, classNames, mean, std, isLatent: false };
  const model = trainedClassifier(method, info, { device, values, batchSize });
  const { probabilities } = await model.predict(data.test.images.subarray(0, 3072));
  await model.dispose();
  const { name, threads } = device;
  await device.dispose();
  return { losses, first: first.loss, sum: probabilities.reduce((a, b) => a + b, 0), device: name, threads };
}

Object.assign(globalThis, { result: run().catch((error: unknown) => ({ error: String(error) })) });
