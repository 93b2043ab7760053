import { encodePngGrid, type ImageDataset, readTokens, type TextDataset } from "../data/index.ts";
import { type Cell, type Chart, formatNumber, renderReport, type Section } from "../report/index.ts";
import type { MetricRecord } from "../run/index.ts";
import type { TrainingMethod } from "../train/index.ts";
import type { ClassEvaluation } from "./evaluate.ts";
import type { ImageEvaluation } from "./evaluateImages.ts";
import type { TextBits, TextEvaluation } from "./evaluateText.ts";
import type { RunConfig } from "./runConfig.ts";

export function percent(share: number): { text: string; value: number } {
  return { text: `${(100 * share).toFixed(1)} %`, value: share };
}

/** "93.10 ± 0.42 %", or "93.10 %" where nothing was random. */
export function accuracyText({ mean, std, accuracies }: ClassEvaluation): string {
  return accuracies.length > 1 ? `${(100 * mean).toFixed(2)} ± ${(100 * std).toFixed(2)} %` : `${(100 * mean).toFixed(2)} %`;
}

/** One curve for each unit: a metric over its steps. */
export function curve(records: readonly MetricRecord[], metric: string, title: string, yLabel: string): Chart {
  const units = [...new Set(records.map(({ unit }) => unit))];
  const series = units.map((unit) => ({
    name: unit,
    points: records.flatMap((record): [number, number][] => {
      const value = record.values[metric];
      return record.unit === unit && typeof value === "number" ? [[record.step, value]] : [];
    }),
  }));
  return { title, xLabel: "step", yLabel, series: series.filter(({ points }) => points.length > 0) };
}

/** A sheet of training images: what the numbers are about. Latent ones are nothing to look at. */
export function sampleSheet({ train }: ImageDataset, count = 40): Uint8Array | undefined {
  const { channels, height, width, images } = train;
  if (images instanceof Float32Array) return undefined;
  return encodePngGrid(images, { count: Math.min(count, train.count), channels, height, width, columns: 20, scale: 1 });
}

/** A configuration as a folded section: one row for each setting, by its path as --set takes it. */
export function configSection(config: RunConfig): Section {
  return { heading: "Configuration", isFolded: true, table: { columns: ["setting", "value"], rows: settings(config) } };
}

function settings(value: unknown, path = ""): Cell[][] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return value === undefined ? [] : [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => settings(inner, path === "" ? key : `${path}.${key}`));
}

export interface RunReport {
  readonly config: RunConfig;
  readonly method: TrainingMethod;
  readonly dataName: string;
  /** The result. */
  readonly result: readonly Section[];
  readonly data: Section;
  readonly records: readonly MetricRecord[];
}

/** report.html of a run: the result, the curves, the data and the configuration. */
export function runReport({ config, method, dataName, result, data, records }: RunReport): string {
  const charts = [
    curve(records, "loss", "Loss", "loss"),
    curve(records, "accuracy", "Training accuracy", "accuracy"),
    curve(records, "validation/accuracy", "Test accuracy of each unit alone", "accuracy"),
    curve(records, "validation/loss", "Denoising loss on test images", "loss"),
    curve(records, "validation/bits", "Bits for each token of validation text, in the range of each block", "bits"),
    curve(records, "gradientNorm", "Norm of the gradient", "norm"),
  ];
  const training: Section = { heading: "Training", charts: charts.filter(({ series }) => series.length > 0) };
  const sections = [...result, training, data, configSection(config)];
  return renderReport({ title: `${config.model}, ${method.name}, ${dataName}`, sections, footer: "diffusion-blocks" });
}

/** How a text begins, and how long it is. */
export function textDataSection({ name, tokenizer, train, validation, test }: TextDataset): Section {
  const sizes = `${name}: ${train.length} tokens for training, ${validation.length} for validation, ${test.length} for tests; ${tokenizer.name}, ${tokenizer.vocabSize} symbols.`;
  return { heading: "Data", paragraphs: [sizes, `${tokenizer.decode(readTokens(train, 0, Math.min(400, train.length)))} …`] };
}

/** "1.234", or "at most 1.234 ± 0.056". */
export function bitsText({ bits, error, kind }: TextBits): string {
  const value = error === undefined ? bits.toFixed(3) : `${bits.toFixed(3)} ± ${error.toFixed(3)}`;
  return kind === "bound" ? `at most ${value}` : value;
}

export function textSection(evaluation: TextEvaluation): Section {
  const { parts, likelihoods, uniform, unigram, tokens, perplexity, bitsPerByte } = evaluation;
  const own: Readonly<Record<string, TextBits>> = Object.keys(likelihoods).length > 0 ? likelihoods : { "this model": evaluation };
  const rows: Cell[][] = [
    ...Object.entries(own).map(([name, one]): Cell[] => [name, { text: bitsText(one), value: one.bits }]),
    ...Object.entries(parts).map(([name, part]): Cell[] => [`of these ${name}`, formatNumber(part)]),
    ["how often each symbol occurs", formatNumber(unigram)],
    ["nothing", formatNumber(uniform)],
  ];
  return {
    heading: "Bits for each token of held-out text",
    paragraphs: [
      `−log₂ p over ${tokens} tokens; the first line is a perplexity of ${perplexity.toFixed(2)} and ${bitsPerByte.toFixed(3)} bits for each byte. "At most" stands before a bound, ± before its standard error.`,
    ],
    table: { columns: ["what the model knows", { title: "bits", align: "right" }], rows },
  };
}

/** A sheet of images, and how many there are. */
export function imageDataSection(data: ImageDataset): Section {
  const { channels, height, width, count } = data.train;
  const caption = `${data.name}: ${count} training images${data.isLatent ? `, latent, ${channels}×${height}×${width}` : ""}, ${data.numClasses} classes`;
  const png = sampleSheet(data);
  return { heading: "Data", ...(png === undefined ? { paragraphs: [caption] } : { images: [{ caption, png }] }) };
}

export function classSections(method: TrainingMethod, data: ImageDataset, evaluation: ClassEvaluation): Section[] {
  return [resultSection(method, data, evaluation), ...(evaluation.crossEntropy.length > 0 ? [crossEntropySection(evaluation)] : [])];
}

export function denoisingSection({ levels, loss }: ImageEvaluation): Section {
  return {
    heading: "Denoising loss on test images",
    paragraphs: [
      `w(sigma) times the mean squared error, by noise level: ${formatNumber(loss)} on average. At the highest level 1 is what the mean image would reach. dblocks sample draws images.`,
    ],
    table: {
      columns: [{ title: "sigma", align: "right" }, "block", { title: "loss", align: "right" }],
      rows: levels.map(({ sigma, block, weighted }) => [formatNumber(sigma), block, formatNumber(weighted)]),
    },
  };
}

function resultSection(method: TrainingMethod, { test }: ImageDataset, evaluation: ClassEvaluation): Section {
  const rows: Cell[][] = [
    [method.name, { text: accuracyText(evaluation), value: evaluation.mean }],
    ...Object.entries(evaluation.units).map(([unit, accuracy]) => [`${unit} alone`, percent(accuracy)]),
  ];
  const spread = evaluation.accuracies.length > 1 ? ` ± over ${evaluation.accuracies.length} starting noises.` : "";
  return {
    heading: "Result",
    paragraphs: [`Top-1 accuracy on the ${test.count} test images.${spread}`],
    table: { columns: ["network", { title: "accuracy", best: "max" }], rows },
  };
}

function crossEntropySection({ crossEntropy }: ClassEvaluation): Section {
  return {
    heading: "Cross-entropy at fixed noise levels",
    paragraphs: [
      "In nats, of the block that owns the level, given a noisy label. At the highest level the label says nothing: what counts is the image.",
    ],
    table: {
      columns: [{ title: "sigma", align: "right" }, "block", { title: "cross-entropy", align: "right" }],
      rows: crossEntropy.map((level) => [formatNumber(level.sigma), level.block, formatNumber(level.crossEntropy)]),
    },
  };
}
