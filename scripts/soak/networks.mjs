import {
  adamW,
  autoregressive,
  classNoise,
  convert,
  convertImages,
  convertLanguage,
  createTrainer,
  dit,
  edmNoise,
  generateEmbedded,
  generateEmbeddedText,
  openDevice,
  partition,
  textBatches,
  trainBatches,
  vit,
} from "../../dist/index.js";

const batchSize = 4;

async function training(method, at) {
  const device = await openDevice("cpu", { threads: 1 });
  const config = { unit: method.units[1], device, batchSize, optimizer: adamW(), learningRate: () => 1e-4, seed: 0 };
  const trainer = await createTrainer(method, config);
  return {
    step: (i) => trainer.step(at(i)),
    dispose: async () => {
      await trainer.dispose();
      await device.dispose();
    },
  };
}

function images() {
  const { train, mean, std } = generateEmbedded();
  const batches = trainBatches(train, { batchSize, seed: 0, augmentation: "flip-crop", mean, std });
  return (i) => {
    const batch = batches.at(i);
    return { input: batch.images, labels: batch.labels };
  };
}

/** Small networks, each with what makes its batches. */
export const networks = {
  "block of a ViT": () => {
    const network = vit({ imageSize: 32, patchSize: 16, width: 16, numLayers: 2, numHeads: 2, numClasses: 10 });
    return training(convert(network, { partition: partition({ numBlocks: 2, noise: classNoise }) }), images());
  },
  "block of a DiT": () => {
    const network = dit({ imageSize: 32, patchSize: 16, width: 16, numLayers: 2, numHeads: 2, numClasses: 10 });
    return training(convertImages(network, { partition: partition({ numBlocks: 2, noise: edmNoise }) }), images());
  },
  "block of a Llama": () => {
    const { tokenizer, train } = generateEmbeddedText();
    const network = autoregressive({ vocabSize: tokenizer.vocabSize, length: 16, width: 16, numLayers: 2, numHeads: 2 });
    const batches = textBatches(train, { length: 16, batchSize, seed: 0 });
    const method = convertLanguage(network, { partition: partition({ numBlocks: 2, noise: classNoise }) });
    return training(method, (i) => ({ input: batches.at(i) }));
  },
};
