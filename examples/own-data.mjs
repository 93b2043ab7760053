// Data of one's own, from anywhere: a list with `length` and `at`, or an (async) iterable, such as rows of a database.
// Run: node examples/own-data.mjs
import {
  adamW,
  classNoise,
  convert,
  datasetFrom,
  openDevice,
  partition,
  train,
  trainBatches,
  trainedClassifier,
  vit,
} from "diffusion-blocks";

const [size, batchSize] = [16, 32];

// Two classes: stripes that lie and stripes that stand. Pixels are bytes, planar [channels, height, width].
async function* rows(count) {
  for (let i = 0; i < count; i++) {
    const [label, period, phase] = [i % 2, 2 + (i % 5), i % 7];
    const stripe = (x, y) => (Math.floor(((label === 0 ? y : x) + phase) / period) % 2 === 0 ? 30 + (i % 90) : 220 - (i % 60));
    yield { image: Uint8Array.from({ length: size * size }, (_, pixel) => stripe(pixel % size, Math.floor(pixel / size))), label };
  }
}

const data = await datasetFrom({
  name: "stripes",
  channels: 1,
  height: size,
  width: size,
  classNames: ["lying", "standing"],
  train: rows(600),
});
console.log(`${data.name}: ${data.train.count} for training, ${data.test.count} for tests`);

const network = vit({ imageSize: size, channels: 1, patchSize: 4, width: 32, numLayers: 2, numHeads: 2, numClasses: 2 });
const method = convert(network, { partition: partition({ numBlocks: 2, noise: classNoise }) });
const { mean, std, numClasses } = data;
const batches = trainBatches(data.train, { batchSize, seed: 0, augmentation: ["flip", "label-smoothing:0.05"], mean, std, numClasses });
const device = await openDevice("auto");
const { values } = await train(method, {
  device,
  batches: { stepsPerEpoch: batches.stepsPerEpoch, at: (step) => ({ input: batches.at(step).images, labels: batches.at(step).labels }) },
  batchSize,
  steps: 60,
  optimizer: adamW(),
  learningRate: () => 2e-3,
  seed: 0,
});
const info = { ...data, channels: 1, height: size, width: size, isLatent: false };
const model = trainedClassifier(method, info, { device, values });
const { labels } = await model.predict(data.test.images);
const right = labels.filter((label, i) => label === data.test.labels[i]).length;
console.log(`test accuracy ${((100 * right) / data.test.count).toFixed(1)} %`);
await device.dispose();
