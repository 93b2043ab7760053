import { writeFile } from "node:fs/promises";
import { type ImageSampling, imageGrid, imagesPerWalk, sampleImages } from "../blocks/index.ts";
import { encodePngGrid, type ImageDataset } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { writeSafetensors } from "../formats/index.ts";
import { fold, key } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { createCaller, isClassifier } from "../train/index.ts";
import type { RunConfig } from "./runConfig.ts";
import { loadParameters, openTrainedRun } from "./trainedRun.ts";

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
  readonly onProgress?: (images: number, step: number, steps: number) => void;
}

/** Images that a run made, as numbers in [−1, 1] for white and black, [count, channels, size, size]. */
export interface SampledImages {
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
  readonly channels: number;
  readonly size: number;
}

const defaults: ImageSampling = { sampler: "heun", numSteps: 18, grid: "karras", guidance: 1, churn: 0 };

/**
 * Draws images from a trained run. Image i of a seed is the same in any batch size and any count. After the signal those that are whole are returned.
 *
 * @throws {UsageError} if the run makes no images, the class is out of range, or guidance is asked of a network without classes.
 */
export async function sampleRun(options: SampleRunOptions): Promise<SampledImages> {
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
  run: Awaited<ReturnType<typeof openTrainedRun>>,
  device: Device,
  { count, label, seed = 0, batchSize = 32, signal, onProgress, ...options }: SampleRunOptions,
): Promise<SampledImages> {
  const { method, data, config, folder } = run;
  if (isClassifier(method))
    throw new UsageError(
      "noImages",
      { model: config.model },
      `${folder.path} is a ${config.model}, which makes no images. Train one: dblocks train dit.`,
    );
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
  const pixels = channels * size * size;
  const images = new Float32Array(count * pixels);
  const labels = Int32Array.from({ length: count }, (_, i) => label ?? (numClasses === 0 ? 0 : i % numClasses));
  const perWalk = imagesPerWalk(batchSize, sampling);
  const steps = imageGrid(method, sampling).length - 1;
  let done = 0;
  for (; done < count && !signal?.aborted; done += perWalk) {
    const numbers = Array.from({ length: Math.min(perWalk, count - done) }, (_, i) => done + i);
    const walk = await sampleImages({
      denoiser: method,
      call: caller.call,
      batchSize,
      labels: labels.subarray(done, done + numbers.length),
      keys: numbers.map((i) => fold(fold(key(seed), "image"), i)),
      sampling,
      onStep: ({ step }) => onProgress?.(done, step + 1, steps),
    });
    images.set(walk, done * pixels);
  }
  const whole = Math.min(count, done);
  return { images: images.subarray(0, whole * pixels), labels: labels.subarray(0, whole), count: whole, channels, size };
}

function checkLabel(label: number | undefined, numClasses: number, { classNames }: ImageDataset): void {
  if (label === undefined || (label >= 0 && label < numClasses)) return;
  const known =
    numClasses === 0
      ? "this network knows no classes"
      : `there are ${numClasses}: 0 (${classNames[0]}) to ${numClasses - 1} (${classNames[numClasses - 1]})`;
  throw new UsageError("label", { label, numClasses }, `--class ${label}: ${known}.`);
}

/** [−1, 1] to bytes; what lies outside is cut off. */
export function imageBytes(images: Float32Array): Uint8Array {
  return Uint8Array.from(images, (x) => Math.round(255 * Math.min(1, Math.max(0, (x + 1) / 2))));
}

/** Writes images to a file by its ending: a grid as .png, or the numbers and labels as .safetensors. */
export async function writeImages(file: string, { images, labels, count, channels, size }: SampledImages): Promise<void> {
  checkImageFile(file);
  if (file.endsWith(".png")) {
    const columns = Math.ceil(Math.sqrt(count));
    const scale = size < 64 ? 2 : 1;
    return await writeFile(file, encodePngGrid(imageBytes(images), { count, channels, height: size, width: size, columns, scale }));
  }
  const tensors = [
    { name: "images", dtype: "F32", shape: [count, channels, size, size], data: images },
    { name: "labels", dtype: "I32", shape: [count], data: labels },
  ] as const;
  await writeFile(file, writeSafetensors(tensors));
}

/** @throws {UsageError} for an ending that {@link writeImages} does not know. */
export function checkImageFile(file: string): void {
  if (/\.(png|safetensors)$/.test(file)) return;
  throw new UsageError("imageFile", { file }, `--out ${file}: the ending must be .png or .safetensors.`);
}
