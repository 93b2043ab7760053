import {
  blockOfSigma,
  denoisedEstimate,
  type EstimateKind,
  type GaussianSampler,
  levelsAt,
  reverse,
  type SamplerName,
  type SigmaGrid,
  samplerOf,
  samplingLevels,
  startState,
} from "../diffusion/index.ts";
import { fold, type Key, normals } from "../random.ts";
import type { HostArray } from "../tensor/index.ts";
import type { Call } from "../train/index.ts";
import type { ClassDenoiser } from "./answers.ts";

/** Options of predicting a class by denoising its embedding. */
export interface ClassSampling {
  readonly sampler: SamplerName | GaussianSampler;
  /** T noise levels; as many as blocks by default: with Euler's method one pass through all layers. */
  readonly numSteps?: number | undefined;
  readonly grid: SigmaGrid;
  /** The denoised estimate that the logits become. */
  readonly estimate: EstimateKind;
  /** The answer: logits of the last evaluation, or the mean evidence of all evaluations. */
  readonly readout: "last" | "evidence";
}

/** The defaults that the measurements favour: see docs/QUALITY.md. */
export const defaultClassSampling: ClassSampling = Object.freeze({
  sampler: "euler",
  grid: "equi-probability",
  estimate: "soft",
  readout: "evidence",
});

export interface ClassifyByDenoising {
  readonly model: ClassDenoiser;
  readonly call: Call;
  readonly input: HostArray;
  readonly batchSize: number;
  readonly key: Key;
  readonly sampling: ClassSampling;
  /** Descending noise levels, instead of those of the sampling. */
  readonly levels?: readonly number[];
  /** Standard normal numbers [batch, width] to start from, instead of those of the key. */
  readonly start?: Float32Array;
  /** Called after each evaluation. */
  onEvaluation?(evaluation: {
    readonly sigma: number;
    readonly block: number;
    readonly logits: Float32Array;
    readonly z: Float32Array;
  }): void;
}

/**
 * Classification by denoising: the embedding starts as pure noise at the largest level; a reverse process brings it
 * down, each level through the block that owns it; the last level is evaluated once more, for the answer.
 *
 * @returns class scores, [batch, classes]
 * @see DiffusionBlocks (arXiv 2506.14202), Figure 3.
 */
export async function classifyByDenoising(options: ClassifyByDenoising): Promise<Float32Array> {
  const { model, call, input, batchSize, key, sampling, levels = samplingLevels(sampling, model.partition), onEvaluation } = options;
  const { numClasses, partition } = model;
  const { table } = await call(model.table, {});
  const evidences: Float32Array[] = [];

  const evaluate = async (z: Float32Array, sigma: number): Promise<Float32Array> => {
    const block = blockOfSigma(partition, sigma);
    const feeds = { input, z, ...levelsAt(sigma, partition.noise, batchSize) };
    const { evidence, logits } = await call(model.estimates[block]!, feeds);
    onEvaluation?.({ sigma, block, logits, z });
    evidences.push(evidence);
    return logits;
  };

  const end = await reverse(startState(options.start ?? normals(fold(key, "start"), batchSize * model.width), levels[0]!), {
    sampler: samplerOf(sampling.sampler),
    levels,
    estimate: async (z, sigma, evaluation) =>
      denoisedEstimate(sampling.estimate, await evaluate(z, sigma), table, numClasses, fold(key, evaluation)),
  });
  const logits = await evaluate(end, levels.at(-1)!);
  return sampling.readout === "evidence" ? meanOf(evidences) : logits;
}

function meanOf(rows: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(rows[0]!.length);
  for (const row of rows) for (const [i, value] of row.entries()) mean[i]! += value / rows.length;
  return mean;
}
