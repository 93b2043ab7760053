import { type ImageSampling, imageGrid, imagesPerWalk, sampleImages } from "../blocks/index.ts";
import type { ImageDataset, Normalisation } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { createCaller } from "../train/index.ts";
import { normalisationOf } from "./build.ts";
import type { RunConfig } from "./runConfig.ts";
import { loadParameters, openTrainedRun, type TrainedRun } from "./trainedRun.ts";

export interface SampleRunOptions {
  readonly path: string;
  readonly count: number;
  /** One class for all images; all classes in turn by default. */
  readonly label?: number | undefined;
  readonly seed?: number;
  readonly sampling?: Partial<ImageSampling>;
  /** Items that the network is asked about at once. The images do not depend on it, but for rounding. */
  readonly batchSize?: number;
  readonly device?: RunConfig["execution"]["device"] | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told where the images go before the first is drawn. */
  readonly onStart?: (shape: SampleShape) => void | Promise<void>;
  /** Takes each batch as it is finished; nothing is kept. */
  readonly onImages: (images: SampledImages) => void | Promise<void>;
  /** Told of each step of a walk: how far it is, and what its images look like there. */
  readonly onStep?: (step: SampleProgress) => void | Promise<void>;
}

/** What all images of a run have in common. */
export interface SampleShape {
  readonly channels: number;
  readonly size: number;
  readonly numBlocks: number;
  /** Latent images are given as their encoder's numbers. */
  readonly isLatent: boolean;
}

/** Some images of a run, as numbers in [−1, 1] for black and white, or latent ones in their own scale, [count, channels, size, size]. */
export interface SampledImages {
  /** The number of the first. */
  readonly first: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
  readonly channels: number;
  readonly size: number;
}

export interface SampleProgress {
  /** Images that were finished before this walk. */
  readonly done: number;
  readonly step: number;
  readonly steps: number;
  readonly sigma: number;
  /** The block that was asked, and its estimate of the images. */
  readonly block: number;
  readonly denoised: Float32Array;
}

const defaults: ImageSampling = { sampler: "heun", numSteps: 18, grid: "karras", guidance: 1, churn: 0 };

/**
 * Draws images from a trained run. Image i of a seed is the same in any batch size and any count. After the signal it stops behind the walk in progress.
 *
 * @returns how many were drawn.
 * @throws {UsageError} if the run makes no images, the class is out of range, or guidance is asked of a network without classes.
 */
export async function sampleRun(options: SampleRunOptions): Promise<number> {
  const run = await openTrainedRun(options.path);
  const threads = options.threads ?? run.config.execution.threads;
  const device = await openDevice(options.device ?? run.config.execution.device, threads === undefined ? {} : { threads });
  try {
    return await sampleOpen(run, device, options);
  } finally {
    await device.dispose();
  }
}

async function sampleOpen(
  run: TrainedRun,
  device: Device,
  { count, label, seed = 0, batchSize = 32, signal, onStart, onImages, onStep, ...options }: SampleRunOptions,
): Promise<number> {
  const { task, config, folder } = run;
  if (task.kind !== "images") throw noImages(folder.path, config.model);
  const { method, data } = task;
  const sampling = { ...defaults, ...options.sampling };
  const { numClasses } = method.architecture;
  checkLabel(label, numClasses, data);
  if (sampling.guidance !== 1 && numClasses === 0)
    throw new UsageError(
      "noGuidance",
      {},
      `${folder.path} was trained without classes, so there is nothing to guide by. Leave --guidance out.`,
    );
  const parameters = await loadParameters(run);
  await using caller = createCaller(method, { device, values: (name) => parameters.get(name)!, batchSize });
  const [channels, size] = method.architecture.inputType(1).shape.slice(1) as [number, number];
  const isLatent = data.isLatent ?? false;
  await onStart?.({ channels, size, numBlocks: method.blocks.length, isLatent });
  const perWalk = imagesPerWalk(batchSize, sampling);
  const steps = imageGrid(method, sampling).length - 1;
  let done = 0;
  while (done < count && !signal?.aborted) {
    const numbers = Array.from({ length: Math.min(perWalk, count - done) }, (_, i) => done + i);
    const labels = Int32Array.from(numbers, (i) => label ?? (numClasses === 0 ? 0 : i % numClasses));
    const images = await sampleImages({
      denoiser: method,
      call: caller.call,
      batchSize,
      labels,
      keys: numbers.map((i) => fold(fold(key(seed), "image"), i)),
      sampling,
      onStep: ({ step, ...rest }) => onStep?.({ done, step: step + 1, steps, ...rest }),
    });
    if (isLatent) restoreScale(images, normalisationOf(config.model, data), size * size);
    await onImages({ first: done, images, labels, count: numbers.length, channels, size });
    done += numbers.length;
  }
  return done;
}

/** Undoes the normalisation, in place. */
function restoreScale(images: Float32Array, { mean, std }: Normalisation, pixels: number): void {
  for (let i = 0; i < images.length; i++) {
    const channel = Math.floor(i / pixels) % mean.length;
    images[i] = images[i]! * std[channel]! + mean[channel]!;
  }
}

export function noImages(path: string, model: string): UsageError {
  return new UsageError("noImages", { model }, `${path} is a ${model}, which makes no images. Train one: dblocks train dit.`);
}

function checkLabel(label: number | undefined, numClasses: number, { classNames }: ImageDataset): void {
  if (label === undefined || (label >= 0 && label < numClasses)) return;
  const known =
    numClasses === 0
      ? "this network knows no classes"
      : `there are ${numClasses}: 0 (${classNames[0]}) to ${numClasses - 1} (${classNames[numClasses - 1]})`;
  throw new UsageError("label", { label, numClasses }, `--class ${label}: ${known}.`);
}
