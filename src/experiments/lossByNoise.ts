import { crossEntropyOfLevel, type DiffusionBlocks, type LanguageBlocks } from "../blocks/index.ts";
import { type LevelLoss, type LogNormalNoise, sigmaQuantile } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { openDevice } from "../runtime/index.ts";
import { type Caller, createCaller, overlappingText } from "../train/index.ts";
import { crossEntropyAt } from "./crossEntropy.ts";
import { testInputs } from "./evaluate.ts";
import { evaluateImages } from "./evaluateImages.ts";
import type { RunConfig } from "./runConfig.ts";
import type { JudgeOptions, Task } from "./task.ts";
import { loadParameters, openTrainedRun } from "./trainedRun.ts";

/** Levels at which a loss is measured, each in the middle of an equal share of the training noise. */
const numLevels = 12;

export interface LossByNoise {
  readonly noise: LogNormalNoise;
  readonly losses: readonly LevelLoss[];
}

/**
 * What training minimises, by noise level, of a run that was trained in blocks: on validation text, or test images. The levels are spread evenly over the training noise.
 *
 * @throws {UsageError} if the run has no noise levels.
 */
export async function lossByNoise(
  path: string,
  options: { readonly device?: RunConfig["execution"]["device"] | undefined; readonly threads?: number | undefined } = {},
): Promise<LossByNoise> {
  const run = await openTrainedRun(path);
  const { method } = run.task;
  if (!("partition" in method) || !("noise" in method.partition)) {
    const message = `${path} is a ${run.config.model} trained by ${run.config.method}, which has no noise levels. Give a run of blocks.`;
    throw new UsageError("noNoise", { model: run.config.model, method: run.config.method }, message);
  }
  const { noise } = method.partition;
  const sigmas = Array.from({ length: numLevels }, (_, i) => sigmaQuantile(noise, (i + 0.5) / numLevels));
  const threads = options.threads ?? run.config.execution.threads;
  await using device = await openDevice(options.device ?? run.config.execution.device, threads === undefined ? {} : { threads });
  const parameters = await loadParameters(run);
  const judged = { device, values: (name: string): Float32Array => parameters.get(name)!, batchSize: 16 };
  await using caller = createCaller(method, judged);
  const measure = measureOf(run.task, caller, judged);
  const losses: LevelLoss[] = [];
  for (const [i, sigma] of sigmas.entries()) losses.push({ sigma, loss: await measure(sigma, i) });
  return { noise, losses };
}

type Measure = (sigma: number, level: number) => Promise<number>;

function measureOf(task: Task, caller: Pick<Caller, "call">, options: JudgeOptions): Measure {
  const noiseKey = key("loss by noise");
  if (task.kind === "images") {
    const method = task.method;
    return async (sigma) => (await evaluateImages(method, task.data, { ...options, sigmas: [sigma] })).loss;
  }
  if (task.kind === "classes") {
    const method = task.method as DiffusionBlocks;
    return async (sigma, level) => {
      return (await crossEntropyAt(method, caller, testInputs(task.data, options.batchSize), sigma, fold(noiseKey, level))).crossEntropy;
    };
  }
  const model = task.method as LanguageBlocks;
  const text = overlappingText(task.data.validation.subarray(0, 64 * model.length), model.length);
  return async (sigma, level) => {
    const measured = { model, call: caller.call, batchSize: options.batchSize, text, key: fold(noiseKey, level), block: undefined };
    return await crossEntropyOfLevel(measured, sigma);
  };
}
