import { equiProbabilityGrid, karrasGrid, type Sampler, sample } from "../diffusion/index.ts";
import { fold, type Key, normal } from "../random.ts";
import type { CallProgram } from "../train/index.ts";
import { answering, denoisingFeeds, type ImageDenoiser } from "./imageDenoiser.ts";

/** How images are drawn. */
export interface ImageSampling {
  readonly sampler: Sampler;
  /** Steps down to σ = 0; Heun evaluates twice in each but the last. */
  readonly numSteps: number;
  readonly grid: "karras" | "equi-probability";
  /** s in D = D_null + s (D_label − D_null) (Ho & Salimans 2022); 1 uses the label alone. */
  readonly guidance: number;
  /** S_churn of Karras et al. 2022; 0 adds no noise. */
  readonly churn: number;
}

/** Noise levels of a sampling walk: `numSteps` from the partition's, then 0. */
export function imageGrid(
  { partition: { noise } }: Pick<ImageDenoiser, "partition">,
  { grid, numSteps }: ImageSampling,
): readonly number[] {
  return [...(grid === "karras" ? karrasGrid(noise, numSteps) : equiProbabilityGrid(noise, numSteps)), 0];
}

export interface ImageBatchWalk {
  readonly denoiser: ImageDenoiser;
  /** Runs programs that were traced for `batchSize` items: as many as images, or twice as many under guidance. */
  readonly call: CallProgram;
  readonly batchSize: number;
  /** Of each image, its class; the number of classes asks for any. */
  readonly labels: Int32Array;
  /** Of each image, what its noise derives from: the same key gives the same image in any batch. */
  readonly keys: readonly Key[];
  readonly sampling: ImageSampling;
  /** Told of each step: the block that was asked and its estimate of the images. */
  readonly onStep?: (step: {
    readonly step: number;
    readonly sigma: number;
    readonly block: number;
    readonly denoised: Float32Array;
  }) => void | Promise<void>;
}

/** How many images one walk makes, of which programs for `batchSize` items are traced. */
export function imagesPerWalk(batchSize: number, { guidance }: Pick<ImageSampling, "guidance">): number {
  return guidance === 1 ? batchSize : Math.max(1, Math.floor(batchSize / 2));
}

/** Draws images: noise walks down the grid, at each level through the one block that owns it. Fewer keys than {@link imagesPerWalk} are filled up. @returns [keys, channels, size, size] */
export async function sampleImages({ denoiser, call, batchSize, labels, keys, sampling, onStep }: ImageBatchWalk): Promise<Float32Array> {
  const { architecture } = denoiser;
  const size = architecture.inputType(1).shape.reduce((product, dimension) => product * dimension, 1);
  const count = imagesPerWalk(batchSize, sampling);
  const isGuided = sampling.guidance !== 1;
  const noiseOf = (name: string): Float32Array => {
    const out = new Float32Array(count * size);
    for (const [i, own] of keys.entries()) normal(fold(own, name), out.subarray(i * size, (i + 1) * size));
    return out;
  };
  const asked = new Int32Array(batchSize).fill(architecture.numClasses);
  asked.set(labels.subarray(0, count));
  const denoise = async (z: Float32Array, sigma: number): Promise<Float32Array> => {
    const all = new Float32Array(batchSize * size);
    all.set(z);
    if (isGuided) all.set(z, count * size);
    const { program, feeds } = denoisingFeeds(denoiser, all, sigma, asked);
    const denoised = (await call(program, feeds)).denoised as Float32Array;
    const labelled = denoised.subarray(0, count * size);
    if (!isGuided) return labelled;
    const free = denoised.subarray(count * size, 2 * count * size);
    return free.map((value, i) => value + sampling.guidance * (labelled[i]! - value));
  };

  const grid = imageGrid(denoiser, sampling);
  const start = noiseOf("start").map((x) => grid[0]! * x);
  const end = await sample(start, {
    sampler: sampling.sampler,
    grid,
    denoise,
    ...(sampling.churn > 0 && { churn: { amount: sampling.churn, noise: (step) => noiseOf(`churn ${step}`) } }),
    onStep: ({ step, sigma, denoised }) =>
      onStep?.({ step, sigma, block: answering(denoiser, sigma), denoised: denoised.subarray(0, keys.length * size) }),
  });
  return end.subarray(0, keys.length * size);
}
