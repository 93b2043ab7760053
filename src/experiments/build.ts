import { endToEnd } from "../baselines/index.ts";
import { convert } from "../blocks/index.ts";
import { type ImageDataset, type TrainBatches, trainBatches } from "../data/index.ts";
import { logNormalNoise, type Partition, partition } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { vit } from "../models/index.ts";
import type { Architecture } from "../nn/index.ts";
import { adamW, type Optimizer, type Schedule, schedule, sgd } from "../optim/index.ts";
import type { BatchSource, TrainingMethod } from "../train/index.ts";
import type { RunConfig } from "./runConfig.ts";

/** What the network must know of the data. */
export type DataShape = Pick<ImageDataset, "numClasses"> & { readonly train: Pick<ImageDataset["train"], "channels" | "height" | "width"> };

/** The network of a run with this many layers. @throws {UsageError} if the images are not square or the sizes do not fit. */
export function buildArchitecture(
  { network }: RunConfig,
  { numClasses, train: { channels, height, width } }: DataShape,
  numLayers: number = network.numLayers,
): Architecture {
  if (height !== width) throw new UsageError("notSquare", { height, width }, `vit: images must be square, these are ${width}×${height}.`);
  const { mlpWidth, ...sizes } = network;
  return vit({ ...sizes, ...(mlpWidth !== undefined && { mlpWidth }), numLayers, imageSize: height, channels, numClasses });
}

export function buildPartition({ blocks }: RunConfig): Partition {
  const { numBlocks, strategy, overlap, pMean, pStd, sigmaMin, sigmaMax, sigmaData } = blocks;
  return partition({ numBlocks, strategy, overlap, noise: logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax, sigmaData }) });
}

/** The training method of a run. The shallow twin has the layers of one block, and with them its training memory. */
export function buildMethod(config: RunConfig, data: DataShape): TrainingMethod {
  const { method, blocks, network } = config;
  if (method === "end-to-end") return endToEnd(buildArchitecture(config, data));
  if (method === "shallow-twin")
    return {
      ...endToEnd(buildArchitecture(config, data, Math.max(1, Math.floor(network.numLayers / blocks.numBlocks)))),
      name: "shallow-twin",
    };
  const { layersPerBlock, condWidth, shared, targetEmbedding, targetScale, lossWeighting, headInput, labelLikelihood, initialGate } =
    blocks;
  const { numSteps, ...sampling } = blocks.sampling;
  return convert(buildArchitecture(config, data), {
    partition: buildPartition(config),
    ...(layersPerBlock && { layersPerBlock }),
    ...(condWidth && { condWidth }),
    shared,
    targetEmbedding,
    targetScale,
    lossWeighting,
    headInput,
    labelLikelihood,
    initialGate,
    sampling: { numSteps, ...sampling },
  });
}

export function buildOptimizer({ training: { optimizer, weightDecay } }: RunConfig): Optimizer {
  return optimizer === "adamW" ? adamW({ weightDecay }) : sgd({ weightDecay });
}

/** Updates of each unit, and their learning rates. Every unit makes as many as end-to-end training would: equal layer evaluations. */
export function buildSchedule({ training }: RunConfig, stepsPerEpoch: number): { readonly steps: number; readonly learningRate: Schedule } {
  const steps = Math.max(1, Math.floor((training.epochs * stepsPerEpoch) / training.accumulate));
  return {
    steps,
    learningRate: schedule({
      kind: training.schedule,
      learningRate: training.learningRate,
      warmupSteps: Math.round(training.warmup * steps),
      totalSteps: steps,
      floor: training.floor,
    }),
  };
}

export function buildBatches(
  { training: { batchSize, seed }, data: { augmentation } }: RunConfig,
  { train, mean, std }: ImageDataset,
): BatchSource {
  const batches: TrainBatches = trainBatches(train, { batchSize, seed, augmentation, mean, std });
  return {
    stepsPerEpoch: batches.stepsPerEpoch,
    at: (index) => {
      const { images, labels } = batches.at(index);
      return { input: images, labels };
    },
  };
}
