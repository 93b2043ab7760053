import type { ImageDataset, ImageInfo } from "../data/index.ts";
import { defineTask, type ImageData, type Task } from "../define/index.ts";
import { type TrainedClassifier, trainedClassifier } from "../inference/index.ts";
import { type Cell, type Chart, formatNumber, type Section } from "../report/index.ts";
import type { Classifier } from "../train/index.ts";
import { type ClassEvaluation, evaluateClasses, evaluateClassUnit, lossByClassLevel } from "./evaluateClasses.ts";
import {
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

/** Images to classes: top-1 accuracy on test images. */
export const classes: Task<ImageDataset, ImageInfo, ImageData, Classifier, ClassEvaluation, TrainedClassifier, ImageDataOptions> =
  defineTask({
    name: "classes",
    samples: "images",
    counted: "images",
    countedPerSample: () => 1,
    lossUnit: "nats",
    pathDescription: imagePath,
    defaultPath: "embedded",
    schema: imageDataOptions,
    validationOf: imageValidationOf,
    infoOf: (data) => imageInfo(data, data),
    commonInfo: commonImages,
    shapeOf: imageShape,
    readsAs: (data, { mean, std }) => ({ ...data, mean, std }),
    amountOf: ({ train }) => `${train.count} images`,
    batches: (data, options, batch, prefetch) => imageBatches(data, options, batch, data, prefetch),
    evaluateUnit: async (method, unit, data, options) =>
      unit.answersAlone === false ? {} : { accuracy: await evaluateClassUnit(method, unit, data, options) },
    evaluate: evaluateClasses,
    lossByLevel: lossByClassLevel,
    unitCostOf: ({ accuracy }) => (accuracy === undefined ? undefined : -accuracy),
    scoreOf: ({ mean }) => ({ title: "test accuracy %", value: 100 * mean, best: "max", digits: 2 }),
    textOf: (evaluation) => {
      const levels = evaluation.crossEntropy.map(({ sigma, block, crossEntropy }) => `  ${crossEntropy.toFixed(3)} at ${sigma} (${block})`);
      return [
        `test accuracy ${accuracyText(evaluation)}`,
        ...Object.entries(evaluation.units).map(([name, accuracy]) => `  ${name} alone ${(100 * accuracy).toFixed(2)} %`),
        ...qualityText(evaluation),
        ...(levels.length > 0 ? ["cross-entropy in nats, by sigma:", ...levels] : []),
      ].join("\n");
    },
    detailsOf: ({ classes: own }) => Object.entries(own).map(([name, accuracy]) => `  ${name.padEnd(14)} ${(100 * accuracy).toFixed(1)} %`),
    unitTextOf: ({ accuracy }) => `test accuracy alone ${(100 * accuracy!).toFixed(2)} %`,
    sectionsOf: (evaluation, method, data) => [
      resultSection(method, data, evaluation),
      ...qualitySections(evaluation, data),
      ...(evaluation.crossEntropy.length > 0 ? [crossEntropySection(evaluation)] : []),
    ],
    dataSection: imageDataSection,
    trained: (method, info, use) => trainedClassifier(method, info, use),
    curves: [
      { metric: "accuracy", title: "Training accuracy", label: "accuracy" },
      { metric: "validation/accuracy", title: "Test accuracy of each unit alone", label: "accuracy" },
    ],
  });

/** "93.10 ± 0.42 %", or "93.10 %" where nothing is random. */
export function accuracyText({ mean, std, accuracies }: ClassEvaluation): string {
  return accuracies.length > 1 ? `${(100 * mean).toFixed(2)} ± ${(100 * std).toFixed(2)} %` : `${(100 * mean).toFixed(2)} %`;
}

/** Top-5, F1 and calibration; runs that were evaluated before these were measured have none. */
function qualityText({ qualities = {} }: Partial<ClassEvaluation>): readonly string[] {
  const { together, ...units } = qualities;
  if (together === undefined) return [];
  const { top5, macroF1, calibrationError } = together;
  const alone = Object.entries(units).map(([name, own]) => `${own.calibrationError.toFixed(3)} ${name}`);
  return [
    `top-5 ${(100 * top5).toFixed(2)} %, macro F1 ${macroF1.toFixed(3)}, calibration error ${calibrationError.toFixed(3)}${alone.length > 0 ? ` (alone: ${alone.join(", ")})` : ""}`,
  ];
}

/** Classes of a confusion matrix that is still to be read. */
const mostConfused = 30;

function qualitySections({ qualities }: ClassEvaluation, { classNames }: ImageDataset): readonly Section[] {
  const rows = Object.entries(qualities).map(([name, { top1, top5, macroF1, calibrationError }]): Cell[] => [
    name === "together" ? "together" : `${name} alone`,
    percent(top1),
    percent(top5),
    formatNumber(macroF1),
    { text: calibrationError.toFixed(3), value: calibrationError },
  ]);
  const confidence: Chart = {
    title: "Reliability",
    xLabel: "confidence",
    yLabel: "accuracy",
    series: [
      ...Object.entries(qualities).map(([name, { reliability }]) => ({
        name,
        points: reliability.map((bin) => [bin.confidence, bin.accuracy] as const),
      })),
      { name: "calibrated", points: [[0, 0] as const, [1, 1] as const] },
    ],
  };
  const right = (title: string, best: "max" | "min") => ({ title, align: "right", best }) as const;
  const quality: Section = {
    heading: "Quality and calibration",
    paragraphs: [
      "F1 is the mean over classes. The calibration error is the mean distance between confidence and accuracy over 15 bins of the largest probability; a calibrated network lies on the diagonal.",
    ],
    table: {
      columns: ["network", right("top-1", "max"), right("top-5", "max"), right("macro F1", "max"), right("calibration error", "min")],
      rows,
    },
    charts: [confidence],
  };
  const { confusion } = qualities.together!;
  if (confusion.length > mostConfused) return [quality];
  const table = {
    columns: ["label, and what was answered", ...classNames.map((title) => ({ title, align: "right" }) as const)],
    rows: confusion.map((counts, k): Cell[] => [classNames[k]!, ...counts.map(String)]),
  };
  return [quality, { heading: "Confusion", isFolded: true, table }];
}

export function percent(share: number): { readonly text: string; readonly value: number } {
  return { text: `${(100 * share).toFixed(1)} %`, value: share };
}

function resultSection(method: Classifier, { test }: ImageDataset, evaluation: ClassEvaluation): Section {
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
      "In nats, of the block that owns the level, given a noisy label. At the highest level the label carries no information: the image alone counts.",
    ],
    table: {
      columns: [{ title: "sigma", align: "right" }, "block", { title: "cross-entropy", align: "right" }],
      rows: crossEntropy.map((level) => [formatNumber(level.sigma), level.block, formatNumber(level.crossEntropy)]),
    },
  };
}
