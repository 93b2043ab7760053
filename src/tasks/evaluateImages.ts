import type { ImageDenoiser } from "../blocks/index.ts";
import { type ImageDataset, type Normalisation, testBatches } from "../data/index.ts";
import type { EvaluationOptions, LossByLevel } from "../define/index.ts";
import { blockOfSigma, precondition } from "../diffusion/index.ts";
import { denoiseImages } from "../inference/index.ts";
import { fold, type Key, key, normals } from "../random.ts";
import { type Call, createCaller, type Unit } from "../train/index.ts";

/** The error of a denoiser at one noise level, by the block that owns it. */
export interface LevelError {
  readonly sigma: number;
  readonly block: string;
  /** w(σ) · mean over pixels and test images of (D(y + σε) − y)²: 1 is what the mean image would reach at high noise. */
  readonly weighted: number;
}

/** The evaluation of a diffusion network on test data, at fixed noise levels, the highest first. */
export interface ImageEvaluation {
  readonly levels: readonly LevelError[];
  /** The mean over the levels. */
  readonly loss: number;
}

export interface EvaluateImagesOptions extends Omit<EvaluationOptions, "seeds"> {
  /** Only the levels that this unit owns. */
  readonly unit?: Unit;
}

const comparedSigmas: readonly number[] = [0.02, 0.1, 0.3, 1, 3, 10];
/** Test images that are used, at most, rounded up to whole batches. */
const numImages = 512;

/** Measures denoising on test images; noise is the same at every call. */
export async function evaluateImages(
  method: ImageDenoiser,
  data: ImageDataset,
  normalisation: Normalisation,
  { unit, ...options }: EvaluateImagesOptions,
): Promise<ImageEvaluation> {
  await using caller = createCaller(method, options);
  const { noise } = method.partition;
  const levels: LevelError[] = [];
  for (const [i, sigma] of comparedSigmas.entries()) {
    if (sigma < noise.sigmaMin || sigma > noise.sigmaMax) continue;
    const block = method.units[blockOfSigma(method.partition, sigma)]!;
    if (unit !== undefined && block !== unit) continue;
    const inputs = { method, call: caller.call, data, normalisation, batchSize: options.batchSize };
    levels.unshift({ sigma, block: block.name, weighted: await weightedError(inputs, sigma, fold(key("denoising"), i)) });
  }
  return { levels, loss: levels.reduce((sum, { weighted }) => sum + weighted, 0) / Math.max(1, levels.length) };
}

interface DenoisedInputs {
  readonly method: ImageDenoiser;
  readonly call: Call;
  readonly data: ImageDataset;
  readonly normalisation: Normalisation;
  readonly batchSize: number;
}

/** w(σ) · mean over pixels and test images of (D(y + σε) − y)². */
async function weightedError(
  { method, call, data, normalisation, batchSize }: DenoisedInputs,
  sigma: number,
  noiseKey: Key,
): Promise<number> {
  let [total, pixels, batch] = [0, 0, 0];
  for (const { images, labels, count } of testBatches(data.test, { batchSize, ...normalisation, reuse: true })) {
    const epsilon = normals(fold(noiseKey, batch++), images.length);
    const z = images.map((y, j) => y + sigma * epsilon[j]!);
    const { denoised } = await denoiseImages(method, call, z, sigma, labels);
    const real = (images.length / batchSize) * count;
    for (let j = 0; j < real; j++) total += (denoised[j]! - images[j]!) ** 2;
    pixels += real;
    if (batch * batchSize >= numImages) break;
  }
  return (precondition(sigma, method.partition.noise).lossWeight * total) / pixels;
}

/** The weighted denoising loss of a noise level on test images. */
export function lossByImageLevel(
  method: ImageDenoiser,
  data: ImageDataset,
  normalisation: Normalisation,
  options: Omit<EvaluationOptions, "seeds">,
): LossByLevel {
  const caller = createCaller(method, options);
  const inputs = { method, call: caller.call, data, normalisation, batchSize: options.batchSize };
  const noiseKey = key("loss by noise");
  return {
    noise: method.partition.noise,
    lossAt: (sigma, level) => weightedError(inputs, sigma, fold(noiseKey, level)),
    [Symbol.asyncDispose]: () => caller.dispose(),
  };
}
