import { type ImageDataset, testBatches } from "../data/index.ts";
import type { Device } from "../runtime/index.ts";
import { accuracyOf, createPredictor, type LabelledBatch, type ParameterValues, type TrainingMethod, type Unit } from "../train/index.ts";

export interface Evaluation {
  /** Of the whole method, one for each seed of the starting noise. */
  readonly accuracies: readonly number[];
  readonly mean: number;
  readonly std: number;
  /** Of each unit answering alone from the input. */
  readonly units: Readonly<Record<string, number>>;
}

/** The test images as prediction takes them. */
export function* testInputs(data: ImageDataset, batchSize: number): Generator<LabelledBatch> {
  for (const { images, labels, count } of testBatches(data.test, { batchSize, mean: data.mean, std: data.std }))
    yield { input: images, labels, count };
}

/** Top-1 accuracy over all test images: of one unit, from its present parameters. */
export async function evaluateUnit(
  method: TrainingMethod,
  unit: Unit,
  data: ImageDataset,
  device: Device,
  values: ParameterValues,
  batchSize: number,
): Promise<number> {
  await using predictor = createPredictor(method, { device, values, batchSize });
  return await accuracyOf(predictor, testInputs(data, batchSize), data.numClasses, 0, unit);
}

/** Top-1 accuracy over all test images: of the whole method for several seeds, and of each unit alone. */
export async function evaluateMethod(
  method: TrainingMethod,
  data: ImageDataset,
  { device, values, batchSize, seeds }: { device: Device; values: ParameterValues; batchSize: number; seeds: number },
): Promise<Evaluation> {
  await using predictor = createPredictor(method, { device, values, batchSize });
  const units: Record<string, number> = {};
  if (method.units.length > 1) {
    for (const unit of method.units) units[unit.name] = await accuracyOf(predictor, testInputs(data, batchSize), data.numClasses, 0, unit);
  }
  const accuracies: number[] = [];
  for (let seed = 0; seed < (method.units.length > 1 ? seeds : 1); seed++)
    accuracies.push(await accuracyOf(predictor, testInputs(data, batchSize), data.numClasses, seed));
  const mean = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
  const std = Math.sqrt(accuracies.reduce((sum, accuracy) => sum + (accuracy - mean) ** 2, 0) / Math.max(1, accuracies.length - 1));
  return { accuracies, mean, std, units };
}
