import { blockOfSigma, planReverse, samplerOf, samplingLevels } from "../diffusion/index.ts";
import { fold, normals, uniformAt } from "../random.ts";
import { add, mul, slice, type Tensor, type TensorType } from "../tensor/index.ts";
import { type ExportedNetwork, type ExportSampling, float32, type ProgramInputs, predictionProgram } from "../train/index.ts";
import type { ClassDenoiser } from "./answers.ts";
import { type ClassSampling, classifyByDenoising } from "./classes.ts";
import { exampleInput, fixedLevel, tracedEstimate, tracePlan } from "./exported.ts";

/** What a classifier in blocks must be for export. */
export type ExportedClassifier = ClassDenoiser & { inputType(batchSize: number): TensorType };

/**
 * A classifier in blocks for other software. The whole: input and standard normal noise [batch, width] (and, where classes are
 * drawn on the way, uniform numbers `draws` [batch, evaluations]) -> logits [batch, classes].
 */
export async function exportedClasses(
  model: ExportedClassifier,
  own: ClassSampling,
  { numSteps = own.numSteps }: ExportSampling = {},
): Promise<ExportedNetwork> {
  const { partition, width, numClasses, estimates, table } = model;
  const sampling = { ...own, numSteps };
  const levels = samplingLevels(sampling, partition);
  const scaling = partition.noise;
  const plan = await planReverse({ sampler: samplerOf(own.sampler), levels, startScale: Math.sqrt(1 + levels[0]! ** 2) });
  const evaluations = plan.values.filter(({ kind }) => kind === "estimate").length;
  const isDrawn = own.estimate === "sampled" && evaluations > 0;
  const inputs: ProgramInputs<string> = (batchSize) => ({
    input: model.inputType(batchSize),
    noise: float32(batchSize, width),
    ...(isDrawn && { draws: float32(batchSize, evaluations) }),
  });
  const whole = predictionProgram<string, "logits">("network", inputs, ({ input, noise, draws }, batchSize) => {
    const embeddings = table.trace({}, batchSize).table;
    const evidences: Tensor[] = [];
    const evaluate = (z: Tensor, sigma: number): Tensor => {
      const scores = estimates[blockOfSigma(partition, sigma)]!.trace(
        { input: input!, z, ...fixedLevel(sigma, scaling, batchSize) },
        batchSize,
      );
      evidences.push(scores.evidence);
      return scores.logits;
    };
    const end = tracePlan(plan, noise!, (z, sigma, n) =>
      tracedEstimate(own.estimate, evaluate(z, sigma), embeddings, isDrawn ? slice(draws!, 1, n, n + 1) : undefined),
    );
    const last = evaluate(end, levels.at(-1)!);
    return { logits: own.readout === "evidence" ? mul(evidences.reduce(add), 1 / evidences.length) : last };
  });
  return {
    blocks: estimates,
    scaling,
    whole,
    about: { levels, sampler: samplerOf(own.sampler).name, estimate: own.estimate, readout: own.readout, numClasses },
    example: async (call, batchSize, key) => {
      const input = exampleInput(model.inputType(batchSize), fold(key, "input"));
      const draws = Float32Array.from({ length: batchSize * evaluations }, (_, i) =>
        uniformAt(fold(key, i % evaluations), Math.floor(i / evaluations)),
      );
      const noise = normals(fold(key, "start"), batchSize * width);
      const logits = await classifyByDenoising({ model, call, input, batchSize, key, sampling });
      return { count: batchSize, inputs: { input, noise, ...(isDrawn && { draws }) }, outputs: { logits } };
    },
  };
}
