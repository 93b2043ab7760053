import { encodePngGrid, type ImageDataset } from "../data/index.ts";
import { type Chart, renderReport, type Section } from "../report/index.ts";
import type { MetricRecord } from "../run/index.ts";
import type { TrainingMethod } from "../train/index.ts";
import type { Evaluation } from "./evaluate.ts";
import type { RunConfig } from "./runConfig.ts";

export function percent(share: number): { text: string; value: number } {
  return { text: `${(100 * share).toFixed(1)} %`, value: share };
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

/** A sheet of training images: what the numbers are about. */
export function sampleSheet({ train }: ImageDataset, count = 40): Uint8Array {
  const { channels, height, width } = train;
  return encodePngGrid(train.images, { count: Math.min(count, train.count), channels, height, width, columns: 20, scale: 1 });
}

export interface RunReport {
  readonly config: RunConfig;
  readonly method: TrainingMethod;
  readonly data: ImageDataset;
  readonly evaluation: Evaluation;
  readonly records: readonly MetricRecord[];
}

/** report.html of a run: the result, the curves, the data and the configuration. */
export function runReport({ config, method, data, evaluation, records }: RunReport): string {
  const rows = [
    [method.name, { text: `${(100 * evaluation.mean).toFixed(2)} ± ${(100 * evaluation.std).toFixed(2)} %`, value: evaluation.mean }],
    ...Object.entries(evaluation.units).map(([unit, accuracy]) => [`${unit} alone`, percent(accuracy)]),
  ];
  const sections: Section[] = [
    {
      heading: "Result",
      paragraphs: [`Top-1 accuracy on the ${data.test.count} test images; ± over the seeds of the starting noise.`],
      table: { columns: ["network", { title: "accuracy", best: "max" }], rows },
    },
    {
      heading: "Training",
      charts: [
        curve(records, "loss", "Loss", "loss"),
        curve(records, "validation/accuracy", "Test accuracy of each unit alone", "accuracy"),
      ],
    },
    {
      heading: "Data",
      images: [{ caption: `${data.name}: ${data.train.count} training images, ${data.numClasses} classes`, png: sampleSheet(data) }],
    },
    { heading: "Configuration", isFolded: true, paragraphs: [JSON.stringify(config)] },
  ];
  return renderReport({ title: `${config.model}, ${method.name}, ${data.name}`, sections, footer: "diffusion-blocks" });
}
