import { blockOfSigma, planReverse, samplerOf } from "../diffusion/index.ts";
import { fold, normalRows } from "../random.ts";
import { add, constant, expand, mul, sub, type Tensor } from "../tensor/index.ts";
import { type ExportedNetwork, type ExportSampling, float32, int32, type ProgramInputs, predictionProgram } from "../train/index.ts";
import type { ImageGenerator } from "./answers.ts";
import { fixedLevel, tracePlan } from "./exported.ts";
import { defaultImageSampling, drawImages, imageLevels, imagesPerBatch } from "./images.ts";

/**
 * A diffusion network in blocks for other software. The whole: standard normal noise [batch, channels, height, width] and, where
 * there are classes, labels int32 [batch] -> images of the same shape.
 */
export async function exportedImages(
  model: ImageGenerator,
  { numSteps = defaultImageSampling.numSteps, guidance = 1 }: ExportSampling = {},
): Promise<ExportedNetwork> {
  const { partition, numClasses, imageShape, estimates } = model;
  const sampling = { ...defaultImageSampling, numSteps, guidance };
  const levels = imageLevels(model, sampling);
  const scaling = partition.noise;
  const plan = await planReverse({ sampler: samplerOf(sampling.sampler), levels, startScale: levels[0]! });
  const inputs: ProgramInputs<string> = (batchSize) => ({
    noise: float32(batchSize, ...imageShape),
    ...(numClasses > 0 && { labels: int32(batchSize) }),
  });
  const whole = predictionProgram<string, "images">("network", inputs, ({ noise, labels }, batchSize) => {
    const nobody = expand(constant([numClasses], [1], "int32"), [batchSize]);
    const denoise = (z: Tensor, sigma: number, of: Tensor): Tensor =>
      estimates[blockOfSigma(partition, sigma)]!.trace({ z, labels: of, ...fixedLevel(sigma, scaling, batchSize) }, batchSize).denoised;
    const images = tracePlan(plan, noise!, (z, sigma) => {
      const labelled = denoise(z, sigma, labels ?? nobody);
      if (guidance === 1) return labelled;
      const free = denoise(z, sigma, nobody);
      return add(free, mul(sub(labelled, free), guidance));
    });
    return { images };
  });
  return {
    blocks: estimates,
    scaling,
    whole,
    about: { levels, sampler: samplerOf(sampling.sampler).name, guidance, numClasses },
    example: async (call, batchSize, key) => {
      const count = imagesPerBatch(batchSize, sampling);
      const keys = Array.from({ length: count }, (_, i) => fold(key, i));
      const labels = Int32Array.from(keys, (_, i) => (numClasses === 0 ? 0 : i % numClasses));
      const noise = normalRows(
        keys.map((own) => fold(own, "start")),
        imageShape.reduce((product, size) => product * size, 1),
      );
      const images = await drawImages({ model, call, batchSize, labels, keys, sampling });
      return { count, inputs: { noise, ...(numClasses > 0 && { labels }) }, outputs: { images } };
    },
  };
}
