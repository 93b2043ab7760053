import type { ImageDenoiser } from "../blocks/index.ts";
import {
  type Augmentation,
  augmentationPlan,
  encodePngGrid,
  type ImageDataset,
  type ImageInfo,
  imageBytes,
  type Normalisation,
} from "../data/index.ts";
import { defineTask, type ImageData, type Task } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { type TrainedImageModel, trainedImageModel } from "../inference/index.ts";
import { formatNumber, type Section } from "../report/index.ts";
import { evaluateImages, type ImageEvaluation, lossByImageLevel } from "./evaluateImages.ts";
import {
  augmentationOf,
  commonImages,
  type ImageDataOptions,
  imageBatches,
  imageDataOptions,
  imageDataSection,
  imageInfo,
  imagePath,
  imageShape,
  imageValidationOf,
} from "./imageData.ts";

/** Noisy images to images: the denoising loss on test images by noise level; images are drawn from it. */
export const images: Task<ImageDataset, ImageInfo, ImageData, ImageDenoiser, ImageEvaluation, TrainedImageModel, ImageDataOptions> =
  defineTask({
    name: "images",
    samples: "images",
    counted: "images",
    countedPerSample: () => 1,
    lossUnit: "weighted squared error",
    pathDescription: imagePath,
    defaultPath: "embedded",
    schema: imageDataOptions,
    validationOf: imageValidationOf,
    infoOf: (data) => imageInfo(data, imageRange(data)),
    commonInfo: commonImages,
    shapeOf: imageShape,
    readsAs: (data, { mean, std }) => (data.isLatent ? { ...data, mean, std: std.map((x) => x / latentSpread) } : data),
    amountOf: ({ train }) => `${train.count} images`,
    batches: (data, options, batch, prefetch) => {
      checkWhole(augmentationOf(data, options));
      return imageBatches(data, options, batch, imageRange(data), prefetch);
    },
    evaluateUnit: async (method, unit, data, options) => {
      if (unit.answersAlone === false) return {};
      return { loss: (await evaluateImages(method, data, imageRange(data), { ...options, unit })).loss };
    },
    evaluate: (method, data, options) => evaluateImages(method, data, imageRange(data), options),
    lossByLevel: (method, data, options) => lossByImageLevel(method, data, imageRange(data), options),
    unitCostOf: ({ loss }) => loss,
    scoreOf: ({ loss }) => ({ title: "denoising loss", value: loss, best: "min", digits: 4 }),
    textOf: ({ loss, levels }) => {
      const byLevel = levels.map(({ weighted, sigma, block }) => `${weighted.toFixed(3)} at ${sigma} (${block})`);
      return `denoising loss on test images ${loss.toFixed(4)}\nby sigma: ${byLevel.join(", ")}`;
    },
    detailsOf: () => [],
    unitTextOf: ({ loss }) => `denoising loss on test images ${loss!.toFixed(4)}`,
    sectionsOf: ({ levels, loss }) => [
      {
        heading: "Denoising loss on test images",
        paragraphs: [
          `w(sigma) times the mean squared error, by noise level: ${formatNumber(loss)} on average. At the highest level 1 is what the mean image would reach. dblocks sample draws images.`,
        ],
        table: {
          columns: [{ title: "sigma", align: "right" }, "block", { title: "loss", align: "right" }],
          rows: levels.map(({ sigma, block, weighted }) => [formatNumber(sigma), block, formatNumber(weighted)]),
        },
      },
    ],
    dataSection: imageDataSection,
    samplesSection,
    trained: (method, info, use) => trainedImageModel(method, info, use),
    curves: [{ metric: "validation/loss", title: "Denoising loss on test images", label: "loss" }],
  });

/** @throws {UsageError} if images would be learned that are not of the data: blends, squares cut out, labels that are not theirs. */
function checkWhole(augmentation: Augmentation): void {
  const { mixup, labelSmoothing, cutout } = augmentationPlan(augmentation);
  if (mixup === 0 && labelSmoothing === 0 && cutout === 0) return;
  const message =
    "mixup, cutout and label-smoothing are for classifiers: a model of images would draw such images. Choose --augment flip,crop:4";
  throw new UsageError("augmentation", { augmentation }, message);
}

/** Images that a report shows, in rows of eight. */
const shownImages = 16;

/** A sheet of drawn images; none of latent ones, which only their decoder can show. */
async function samplesSection(model: TrainedImageModel): Promise<Section | undefined> {
  const { channels, height, width, isLatent } = model.info;
  if (isLatent) return undefined;
  const { images: drawn } = await model.sample({ count: shownImages });
  const png = encodePngGrid(imageBytes(drawn), { count: shownImages, channels, height, width, columns: 8, scale: 1 });
  return { heading: "Samples", images: [{ caption: "Drawn from seed 0, the classes in turn, without guidance", png }] };
}

const latentSpread = 2;

/** Pixels become [−1, 1]; latent numbers get EDM's deviation of 1/2. */
function imageRange({ mean, std, isLatent = false }: ImageDataset): Normalisation {
  return isLatent
    ? { mean, std: std.map((deviation) => latentSpread * deviation) }
    : { mean: mean.map(() => 0.5), std: std.map(() => 0.5) };
}
