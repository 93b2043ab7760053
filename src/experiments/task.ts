import type { ImageDenoiser } from "../blocks/index.ts";
import { type ImageDataset, type LoadOptions, loadImages } from "../data/index.ts";
import type { Section } from "../report/index.ts";
import type { Device } from "../runtime/index.ts";
import type { BatchSource, Classifier, ParameterValues, Unit } from "../train/index.ts";
import { buildBatches, buildClassifier, buildImages, openBatches } from "./build.ts";
import { type ClassEvaluation, evaluateMethod, evaluateUnit } from "./evaluate.ts";
import { evaluateImages, type ImageEvaluation } from "./evaluateImages.ts";
import { classSections, denoisingSection, imageDataSection } from "./report.ts";
import type { RunConfig } from "./runConfig.ts";

/** What is measured of a run, by what its network is for. */
export type Evaluation = ClassEvaluation | ImageEvaluation;

export function isOfClasses(evaluation: Evaluation): evaluation is ClassEvaluation {
  return "accuracies" in evaluation;
}

export interface JudgeOptions {
  readonly device: Device;
  readonly values: ParameterValues;
  readonly batchSize: number;
}

/** An evaluation, and how a report shows it. */
export interface Judgement {
  readonly evaluation: Evaluation;
  readonly sections: readonly Section[];
}

/** What a run is for: its data, the method that learns from them, and how the result is judged. Runs, reports and comparisons know nothing else of either. */
interface TaskBase {
  readonly data: ImageDataset;
  readonly stepsPerEpoch: number;
  /** "10000 images" */
  readonly amount: string;
  openBatches(device: Device): BatchSource & AsyncDisposable;
  /** What is measured of one unit while it trains. */
  judgeUnit(unit: Unit, options: JudgeOptions): Promise<Readonly<Record<string, number>>>;
  /** @param options seeds: starting noises, where predictions have some. */
  judge(options: JudgeOptions & { readonly seeds: number }): Promise<Judgement>;
  /** The data, as a report shows them. */
  dataSection(): Section;
}

export interface ClassTask extends TaskBase {
  readonly kind: "classes";
  readonly method: Classifier;
}

export interface ImageTask extends TaskBase {
  readonly kind: "images";
  readonly method: ImageDenoiser;
}

export type Task = ClassTask | ImageTask;

/** The data of a run. @throws {DataError} if they are missing or damaged. */
export function loadData(path: string, options: LoadOptions = {}): Promise<ImageDataset> {
  return loadImages(path, options);
}

/** The task of a run on its data. @throws {UsageError} if model, method and data do not fit together. */
export function taskOf(config: RunConfig, data: ImageDataset): Task {
  const base = {
    data,
    stepsPerEpoch: buildBatches(config, data).stepsPerEpoch,
    amount: `${data.train.count} images`,
    openBatches: (device: Device) => openBatches(config, data, device),
    dataSection: () => imageDataSection(data),
  };
  if (config.model === "dit") {
    const method = buildImages(config, data);
    return {
      ...base,
      kind: "images",
      method,
      judgeUnit: async (unit, options) => ({ loss: (await evaluateImages(method, data, { ...options, unit })).loss }),
      judge: async (options) => {
        const evaluation = await evaluateImages(method, data, options);
        return { evaluation, sections: [denoisingSection(evaluation)] };
      },
    };
  }
  const method = buildClassifier(config, data);
  return {
    ...base,
    kind: "classes",
    method,
    judgeUnit: async (unit, options) => (unit.isSilent ? {} : { accuracy: await evaluateUnit(method, unit, data, options) }),
    judge: async (options) => {
      const evaluation = await evaluateMethod(method, data, options);
      return { evaluation, sections: classSections(method, data, evaluation) };
    },
  };
}
