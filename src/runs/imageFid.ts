import { readFile } from "node:fs/promises";
import { type ImageDataset, type ImageSplit, testBatches } from "../data/index.ts";
import { DataError, UsageError } from "../errors.ts";
import {
  type FeatureNetwork,
  FeatureStatistics,
  frechetDistance,
  type KernelDistance,
  kid,
  openFeatures,
  readFeatureFile,
} from "../eval/index.ts";
import type { ImageSampleOptions, SampledImages } from "../inference/index.ts";
import { fold, key, uniformAt } from "../random.ts";
import { images as imagesTask } from "../tasks/index.ts";
import { trainedModelOf } from "./loadRun.ts";
import { type DeviceChoice, deviceOf, evaluationData, type TrainedRun } from "./trainedRun.ts";

export interface ImageFidOptions extends DeviceChoice {
  readonly sampling?: Partial<ImageSampleOptions>;
  readonly batchSize?: number;
  readonly signal?: AbortSignal | undefined;
  /** An ONNX file: see {@link openFeatures}. */
  readonly features: string;
  /** Images of each evaluation. */
  readonly samples: number;
  /** Evaluations, each with a seed of its own. */
  readonly evaluations?: number;
  /** See {@link evaluationData}; the run's own by default. */
  readonly data?: ImageDataset;
  readonly onNotice?: (message: string) => void;
}

/** Distances of sampled images to the training and the test images, one for each evaluation. */
export interface ImageFid {
  /** FID[name of the feature network]. */
  readonly name: string;
  readonly samples: number;
  readonly width: number;
  readonly train: readonly number[];
  readonly test: readonly number[];
  /** Kernel distances to the test images, one for each evaluation: not biased by few images. */
  readonly kernel: readonly KernelDistance[];
}

/**
 * The Fréchet distance of what a run draws to its data, three times with other seeds: the published figures are the
 * least of three, the mean says more. Fewer images than features make a covariance singular and the value larger, which a notice says.
 *
 * @throws {DataError} if the feature file cannot be read.
 */
export async function imageFid(
  run: TrainedRun,
  { features, samples, evaluations = 3, data: given, onNotice, ...options }: ImageFidOptions,
): Promise<ImageFid> {
  const bytes = await readFeatures(features);
  await using model = await trainedModelOf(run, { ...options, task: imagesTask });
  if (model.info.isLatent)
    throw new UsageError(
      "latentFid",
      {},
      `${run.folder.path} makes latent images. Draw some (--out latents.safetensors), decode them, and measure the result.`,
    );
  const data = given ?? ((await evaluationData(run)) as ImageDataset);
  await using device = await deviceOf(run, { ...options, device: options.device ?? "auto" });
  await using network = await openFeatures(device, bytes, features);
  const [train, test] = [new FeatureStatistics(network.width), new FeatureStatistics(network.width)];
  const real: Float32Array[] = [];
  await extractSplit(network, data, data.train, (row) => train.add(row));
  await extractSplit(network, data, data.test, (row) => {
    test.add(row);
    if (real.length < mostKernelRows) real.push(row.slice());
  });
  const result: { train: number[]; test: number[]; kernel: KernelDistance[] } = { train: [], test: [], kernel: [] };
  if (Math.min(samples, test.count) <= network.width)
    onNotice?.(
      `${Math.min(samples, test.count)} images for ${network.width} features: a covariance is singular, the distance is too large. More --samples help.`,
    );
  for (let seed = 0; seed < evaluations && !options.signal?.aborted; seed++) {
    const statistics = new FeatureStatistics(network.width);
    const rows: Float32Array[] = [];
    const onImages = (drawn: SampledImages): Promise<void> =>
      network.extract(drawn.images, drawn, (row) => {
        statistics.add(row);
        if (rows.length < mostKernelRows) rows.push(row.slice());
      });
    await model.sample({ ...options.sampling, count: samples, seed, signal: options.signal, onImages });
    result.train.push(frechetDistance(statistics, train));
    result.test.push(frechetDistance(statistics, test));
    let draws = 0;
    result.kernel.push(kid(rows, real, { subsets: 10, uniform: () => uniformAt(fold(key("KID"), seed), draws++) }));
  }
  return { name: `FID[${network.name}]`, samples, width: network.width, ...result };
}

/**
 * The file of a feature network, checked.
 *
 * @throws {DataError} if it cannot be read. {FormatError}, {UsageError} if it is no feature network.
 */
export async function readFeatures(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    const message = `${path} cannot be read. Give Inception-v3's pool3 as ONNX, or make features of your own: dblocks features --data PATH --out ${path}`;
    throw new DataError("noFeatures", { features: path }, message, { cause });
  });
  readFeatureFile(bytes, path);
  return bytes;
}

/** Rows that kernel distances are taken of, at most. */
const mostKernelRows = 5000;

/** Hands the features of each image of a split to `sink`, which must copy what it keeps. */
async function extractSplit(
  network: FeatureNetwork,
  { mean }: ImageDataset,
  split: ImageSplit,
  sink: (row: Float32Array) => void,
): Promise<void> {
  const half = mean.map(() => 0.5);
  for (const { images, count } of testBatches(split, { batchSize: 64, mean: half, std: half, reuse: true }))
    await network.extract(images, { count, channels: split.channels, size: split.width }, sink);
}
