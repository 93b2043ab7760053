import type { AnyTask, EvaluationOptions } from "../define/index.ts";
import { type LevelLoss, type LogNormalNoise, sigmaQuantile } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import type { TrainingMethod } from "../train/index.ts";
import { type DeviceChoice, deviceOf, evaluationData, loadParameters, type TrainedRun } from "./trainedRun.ts";

/** Levels at which a loss is measured, each in the middle of an equal share of the training noise. */
const numLevels = 12;

export interface LossByNoise {
  readonly noise: LogNormalNoise;
  readonly losses: readonly LevelLoss[];
}

/**
 * The loss that training minimises, by noise level, of a run that was trained in blocks: on validation text, or test
 * images. The levels are spread evenly over the training noise.
 *
 * @throws {UsageError} if the run has no noise levels.
 */
export async function lossByNoise(run: TrainedRun, choice: DeviceChoice = {}): Promise<LossByNoise> {
  const { task, method, config, folder } = run;
  await using device = await deviceOf(run, choice);
  const options = { device, values: await loadParameters(run), batchSize: 16 };
  const measured = await measureLossByNoise(task, method, await evaluationData(run), options);
  if (measured !== undefined) return measured;
  const message = `${folder.path} is a ${config.model.name} trained by ${config.method.name}, which has no noise levels. Give a run of blocks.`;
  throw new UsageError("noNoise", { model: config.model.name, method: config.method.name }, message);
}

/** The same of a trained method; undefined if it has no noise levels. */
export async function measureLossByNoise(
  task: AnyTask,
  method: TrainingMethod,
  data: unknown,
  options: Omit<EvaluationOptions, "seeds">,
): Promise<LossByNoise | undefined> {
  await using measure = task.lossByLevel(method, data, options);
  if (measure === undefined) return undefined;
  const { noise } = measure;
  const losses: LevelLoss[] = [];
  for (let i = 0; i < numLevels; i++) {
    const sigma = sigmaQuantile(noise, (i + 0.5) / numLevels);
    losses.push({ sigma, loss: await measure.lossAt(sigma, i) });
  }
  return { noise, losses };
}
