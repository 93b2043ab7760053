import type { ImageDenoiser, MaskedText } from "../blocks/index.ts";
import { type ImageDataset, type LoadOptions, loadImages, loadText, type TextDataset, textBatches } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import type { Section } from "../report/index.ts";
import type { Device } from "../runtime/index.ts";
import type { BatchSource, Classifier, LanguageModel, ParameterValues, Unit } from "../train/index.ts";
import { buildBatches, buildClassifier, buildImages, buildText, openBatches } from "./build.ts";
import { type ClassEvaluation, evaluateMethod, evaluateUnit } from "./evaluate.ts";
import { evaluateImages, type ImageEvaluation } from "./evaluateImages.ts";
import { evaluateText, evaluateTextUnit, type TextEvaluation } from "./evaluateText.ts";
import { classSections, denoisingSection, imageDataSection, textDataSection, textSection } from "./report.ts";
import { type RunConfig, textModels } from "./runConfig.ts";

/** What is measured of a run, by what its network is for. */
export type Evaluation = ClassEvaluation | ImageEvaluation | TextEvaluation;

export function isOfClasses(evaluation: Evaluation): evaluation is ClassEvaluation {
  return "accuracies" in evaluation;
}

export function isOfText(evaluation: Evaluation): evaluation is TextEvaluation {
  return "bits" in evaluation;
}

/** What runs are trained on. */
export type TaskData = ImageDataset | TextDataset;

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
  readonly data: TaskData;
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
  readonly data: ImageDataset;
  readonly method: Classifier;
}

export interface ImageTask extends TaskBase {
  readonly kind: "images";
  readonly data: ImageDataset;
  readonly method: ImageDenoiser;
}

export interface TextTask extends TaskBase {
  readonly kind: "text";
  readonly data: TextDataset;
  readonly method: MaskedText | LanguageModel;
}

export type Task = ClassTask | ImageTask | TextTask;

/** The data of a run, from its own path or another. @throws {DataError} if they are missing or damaged. */
export function loadData(
  { model, text, data }: RunConfig,
  { path = data.path, ...options }: LoadOptions & { readonly path?: string | undefined } = {},
): Promise<TaskData> {
  return textModels.includes(model) ? loadText(path, text.tokenizer, options) : loadImages(path, options);
}

/** The task of a run on its data. @throws {UsageError} if model, method and data do not fit together. */
export function taskOf(config: RunConfig, data: TaskData): Task {
  if ("tokenizer" in data) return textTask(config, data);
  return config.model === "dit" ? imageTask(config, data) : classTask(config, data);
}

function imageBase(config: RunConfig, data: ImageDataset): Omit<TaskBase, "judge" | "judgeUnit"> & { readonly data: ImageDataset } {
  return {
    data,
    stepsPerEpoch: buildBatches(config, data).stepsPerEpoch,
    amount: `${data.train.count} images`,
    openBatches: (device) => openBatches(config, data, device),
    dataSection: () => imageDataSection(data),
  };
}

function classTask(config: RunConfig, data: ImageDataset): ClassTask {
  const method = buildClassifier(config, data);
  return {
    ...imageBase(config, data),
    kind: "classes",
    method,
    judgeUnit: async (unit, options) => (unit.isSilent ? {} : { accuracy: await evaluateUnit(method, unit, data, options) }),
    judge: async (options) => {
      const evaluation = await evaluateMethod(method, data, options);
      return { evaluation, sections: classSections(method, data, evaluation) };
    },
  };
}

function imageTask(config: RunConfig, data: ImageDataset): ImageTask {
  const method = buildImages(config, data);
  return {
    ...imageBase(config, data),
    kind: "images",
    method,
    judgeUnit: async (unit, options) => ({ loss: (await evaluateImages(method, data, { ...options, unit })).loss }),
    judge: async (options) => {
      const evaluation = await evaluateImages(method, data, options);
      return { evaluation, sections: [denoisingSection(evaluation)] };
    },
  };
}

function textTask(config: RunConfig, data: TextDataset): TextTask {
  const method = buildText(config, data.tokenizer.vocabSize);
  const { batchSize, seed } = config.training;
  const { length } = config.text;
  const batches = textBatches(data.train, { length, batchSize, seed });
  if (data.test.length < length || data.validation.length < length) {
    const shorter = Math.min(data.test.length, data.validation.length);
    const message = `The text leaves ${shorter} tokens for validation or tests, fewer than a sequence of ${length}. Lower --length, or give more text.`;
    throw new UsageError("textTooShort", { tokens: shorter, length }, message);
  }
  const labels = new Int32Array(batchSize); // there are none
  return {
    kind: "text",
    data,
    method,
    stepsPerEpoch: batches.stepsPerEpoch,
    amount: `${data.train.length} tokens, ${data.tokenizer.name}`,
    openBatches: () => ({
      stepsPerEpoch: batches.stepsPerEpoch,
      at: (index) => ({ input: batches.at(index), labels }),
      [Symbol.asyncDispose]: async () => {},
    }),
    judgeUnit: async (unit, options) => ({ bits: await evaluateTextUnit(method, unit, data, options) }),
    judge: async (options) => {
      const evaluation = await evaluateText(method, data, options);
      return { evaluation, sections: [textSection(evaluation)] };
    },
    dataSection: () => textDataSection(data),
  };
}
