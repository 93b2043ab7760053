import { type ImageDataset, testBatches } from "../data/index.ts";
import type { EvaluationOptions, LossByLevel } from "../define/index.ts";
import { softmaxOf } from "../diffusion/index.ts";
import { type ClassQuality, ClassQualityMeter } from "../eval/index.ts";
import {
  accuracyOf,
  type ClassDenoiser,
  type ClassifyOptions,
  createPredictor,
  type LabelledBatch,
  type Predictor,
} from "../inference/index.ts";
import { fold, key } from "../random.ts";
import { type Call, type Classifier, createCaller, type Unit } from "../train/index.ts";
import { comparedSigmas, crossEntropyAt, type LevelCrossEntropy } from "./crossEntropy.ts";

/** The evaluation of a classifier on test data. Accuracies are top-1 shares from 0 to 1. */
export interface ClassEvaluation {
  /** Of the whole method, one for each seed of the starting noise. */
  readonly accuracies: readonly number[];
  readonly mean: number;
  /** Over the seeds; 0 where nothing is random. */
  readonly std: number;
  /** Of each unit answering alone from the input, where there are several. */
  readonly units: Readonly<Record<string, number>>;
  /** Of the images of each class, over all seeds. */
  readonly classes: Readonly<Record<string, number>>;
  /**
   * Of the whole method (`together`, over all seeds) and of each unit alone: top-5, F1, calibration and confusion. Probabilities are
   * the softmax of the scores.
   */
  readonly qualities: Readonly<Record<string, ClassQuality>>;
  /** At fixed noise levels, the highest first; empty for methods without noise. */
  readonly crossEntropy: readonly LevelCrossEntropy[];
}

/** The test images as prediction takes them; each batch is valid until the next. */
export function* testInputs(data: ImageDataset, batchSize: number): Generator<LabelledBatch> {
  for (const { images, labels, count } of testBatches(data.test, { batchSize, mean: data.mean, std: data.std, reuse: true })) {
    yield { input: images, labels, count };
  }
}

/** Top-1 accuracy of one unit alone over all test images, from its present parameters. */
export async function evaluateClassUnit(
  method: Classifier,
  unit: Unit,
  data: ImageDataset,
  { device, values, batchSize }: Omit<EvaluationOptions, "seeds">,
): Promise<number> {
  await using predictor = createPredictor(method, { device, values, batchSize });
  return await accuracyOf(predictor, testInputs(data, batchSize), { unit });
}

/** Measures a whole method, and each of its units, on all test images. */
export async function evaluateClasses(
  method: Classifier,
  data: ImageDataset,
  { device, values, batchSize, seeds }: EvaluationOptions,
): Promise<ClassEvaluation> {
  await using predictor = createPredictor(method, { device, values, batchSize });
  const inputs = (): Generator<LabelledBatch> => testInputs(data, batchSize);
  const isNoisy = isDenoising(method);
  const { numClasses } = method;
  const together = new ClassQualityMeter({ numClasses });
  const accuracies: number[] = [];
  for (let seed = 0; seed < (isNoisy ? Math.max(1, seeds) : 1); seed++) {
    const own = new ClassQualityMeter({ numClasses });
    await classifyAll(predictor, inputs(), [together, own], { seed });
    accuracies.push(own.result().top1);
  }
  const quality = together.result();
  const ofClass = (k: number): number => quality.confusion[k]![k]! / sum(quality.confusion[k]!);
  const ofUnits = await unitQualities(method, predictor, inputs);
  return {
    accuracies,
    ...meanAndDeviation(accuracies),
    units: Object.fromEntries(Object.entries(ofUnits).map(([name, { top1 }]) => [name, top1])),
    qualities: { together: quality, ...ofUnits },
    classes: Object.fromEntries(data.classNames.map((name, k) => [name, ofClass(k)] as const).filter(([, share]) => !Number.isNaN(share))),
    crossEntropy: isDenoising(method) ? await crossEntropies(method, predictor.call, inputs) : [],
  };
}

/** Hands the prediction of each item to the meters. */
async function classifyAll(
  predictor: Predictor,
  batches: Iterable<LabelledBatch>,
  meters: readonly ClassQualityMeter[],
  { seed = 0, unit }: ClassifyOptions,
): Promise<void> {
  const { numClasses } = predictor.method;
  let batch = 0;
  for (const { input, labels, count } of batches) {
    const scores = await predictor.predict(input, fold(fold(key(seed), "evaluation"), batch++), unit);
    for (let i = 0; i < count; i++) {
      const probabilities = softmaxOf(scores.subarray(i * numClasses, (i + 1) * numClasses));
      for (const meter of meters) meter.add(probabilities, labels[i]!);
    }
  }
}

async function unitQualities(
  method: Classifier,
  predictor: Predictor,
  inputs: () => Iterable<LabelledBatch>,
): Promise<Record<string, ClassQuality>> {
  const qualities: Record<string, ClassQuality> = {};
  if (method.units.length === 1) return qualities;
  for (const unit of method.units.filter(({ answersAlone = true }) => answersAlone)) {
    const meter = new ClassQualityMeter({ numClasses: method.numClasses });
    await classifyAll(predictor, inputs(), [meter], { unit });
    qualities[unit.name] = meter.result();
  }
  return qualities;
}

async function crossEntropies(method: Denoising, call: Call, inputs: () => Iterable<LabelledBatch>): Promise<LevelCrossEntropy[]> {
  const { sigmaMin, sigmaMax } = method.partition.noise;
  const levels: LevelCrossEntropy[] = [];
  for (const sigma of comparedSigmas.filter((level) => level >= sigmaMin && level <= sigmaMax)) {
    levels.unshift(await crossEntropyAt(method, call, inputs(), sigma, fold(key("cross-entropy"), levels.length)));
  }
  return levels;
}

/** A classifier that denoises. */
type Denoising = Classifier & ClassDenoiser;

function isDenoising(method: Classifier): method is Denoising {
  return "estimates" in method;
}

/** Mean and sample standard deviation; 0 for one value. */
function meanAndDeviation(values: readonly number[]): { mean: number; std: number } {
  const mean = sum(values) / values.length;
  return { mean, std: Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / Math.max(1, values.length - 1)) };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Test images by which the loss of a noise level is measured, at most. */
const levelImages = 512;

/** The cross-entropy of a noise level on test images; undefined for methods without noise. */
export function lossByClassLevel(
  method: Classifier,
  data: ImageDataset,
  options: Omit<EvaluationOptions, "seeds">,
): LossByLevel | undefined {
  if (!isDenoising(method)) return undefined;
  const caller = createCaller(method, options);
  const noiseKey = key("loss by noise");
  return {
    noise: method.partition.noise,
    lossAt: async (sigma, level) =>
      (await crossEntropyAt(method, caller.call, first(levelImages, testInputs(data, options.batchSize)), sigma, fold(noiseKey, level)))
        .crossEntropy,
    [Symbol.asyncDispose]: () => caller.dispose(),
  };
}

/** Batches until they hold so many samples. */
function* first(samples: number, batches: Iterable<LabelledBatch>): Generator<LabelledBatch> {
  let taken = 0;
  for (const batch of batches) {
    yield batch;
    taken += batch.count;
    if (taken >= samples) return;
  }
}
