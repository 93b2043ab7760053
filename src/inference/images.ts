import {
  blockOfSigma,
  equiProbabilityGrid,
  type GaussianSampler,
  karrasGrid,
  levelsAt,
  reverse,
  type SamplerName,
  type SigmaGrid,
  samplerOf,
  withChurn,
} from "../diffusion/index.ts";
import { fold, type Key, normalRows } from "../random.ts";
import type { Call } from "../train/index.ts";
import type { ImageGenerator } from "./answers.ts";

/** Options of drawing images. */
export interface ImageSampling {
  readonly sampler: SamplerName | GaussianSampler;
  /** Steps down to σ = 0. */
  readonly numSteps: number;
  readonly grid: Exclude<SigmaGrid, "block-entry">;
  /** s in D = D_null + s (D_label − D_null) (Ho & Salimans 2022); 1 uses the label alone. */
  readonly guidance: number;
  /** S_churn of Karras et al. 2022; 0 adds no noise. */
  readonly churn: number;
}

export const defaultImageSampling: ImageSampling = Object.freeze({ sampler: "heun", numSteps: 18, grid: "karras", guidance: 1, churn: 0 });

/** The noise levels of a reverse process: `numSteps` of the partition's noise, then 0. */
export function imageLevels({ partition: { noise } }: Pick<ImageGenerator, "partition">, sampling: ImageSampling): readonly number[] {
  const { grid, numSteps } = sampling;
  return [...(grid === "karras" ? karrasGrid(noise, numSteps) : equiProbabilityGrid(noise, numSteps)), 0];
}

/** Images that programs for `batchSize` items draw at once: half of them under guidance, which evaluates each image twice. */
export function imagesPerBatch(batchSize: number, { guidance }: Pick<ImageSampling, "guidance">): number {
  return guidance === 1 ? batchSize : Math.max(1, Math.floor(batchSize / 2));
}

/** Estimates of clean images by the block that owns the noise level. */
export interface DenoisedImages {
  readonly block: number;
  /** [batch, channels, height, width] */
  readonly denoised: Float32Array;
}

/** D(z, σ; label) of noisy images z [batch, channels, height, width], all at one noise level. */
export async function denoiseImages(
  { partition, estimates }: Pick<ImageGenerator, "partition" | "estimates">,
  call: Call,
  z: Float32Array,
  sigma: number,
  labels: Int32Array,
): Promise<DenoisedImages> {
  const block = blockOfSigma(partition, sigma);
  const { denoised } = await call(estimates[block]!, { z, labels, ...levelsAt(sigma, partition.noise, labels.length) });
  return { block, denoised };
}

/** One step of drawing images. */
export interface ImageStep extends DenoisedImages {
  readonly step: number;
  readonly sigma: number;
}

export interface DrawImages {
  readonly model: ImageGenerator;
  readonly call: Call;
  /** Items that programs are traced for. */
  readonly batchSize: number;
  /** Of each image, its class; the null label asks for any. */
  readonly labels: Int32Array;
  /** Of each image, what its noise derives from: the same key gives the same image in any batch. At most {@link imagesPerBatch}. */
  readonly keys: readonly Key[];
  readonly sampling: ImageSampling;
  /** Called after each step, and awaited. */
  onStep?(step: ImageStep): void | Promise<void>;
}

/**
 * Draws images: noise σ₀ε is brought down to σ = 0, each level through the one block that owns it.
 *
 * @returns [keys, channels, height, width]
 */
export async function drawImages({ model, call, batchSize, labels, keys, sampling, onStep }: DrawImages): Promise<Float32Array> {
  const size = model.imageShape.reduce((product, dimension) => product * dimension, 1);
  const count = imagesPerBatch(batchSize, sampling);
  const { guidance, churn } = sampling;
  const noiseOf = (name: string): Float32Array =>
    normalRows(
      keys.map((own) => fold(own, name)),
      size,
      count,
    );
  const ownLabels = new Int32Array(batchSize).fill(model.numClasses);
  ownLabels.set(labels.subarray(0, count));
  const estimate = async (z: Float32Array, sigma: number): Promise<Float32Array> => {
    const all = new Float32Array(batchSize * size);
    all.set(z);
    if (guidance !== 1) all.set(z, count * size);
    const { denoised } = await denoiseImages(model, call, all, sigma, ownLabels);
    const labelled = denoised.subarray(0, count * size);
    if (guidance === 1) return labelled;
    const free = denoised.subarray(count * size, 2 * count * size);
    return free.map((value, i) => value + guidance * (labelled[i]! - value));
  };

  const levels = imageLevels(model, sampling);
  const sampler = samplerOf(sampling.sampler);
  const end = await reverse(
    noiseOf("start").map((x) => levels[0]! * x),
    {
      sampler: churn > 0 ? withChurn(sampler, { amount: churn, noise: (step) => noiseOf(`churn ${step}`) }) : sampler,
      levels,
      estimate,
      onStep: ({ step, level: sigma, estimate: denoised }) =>
        onStep?.({ step, sigma, block: blockOfSigma(model.partition, sigma), denoised: denoised.subarray(0, keys.length * size) }),
    },
  );
  return end.subarray(0, keys.length * size);
}
