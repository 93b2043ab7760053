import type { AnyTask, RunConfig } from "../define/index.ts";
import { type Cell, type Chart, renderReport, type Section } from "../report/index.ts";
import type { MetricRecord, TrainingMethod } from "../train/index.ts";

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

/** The curves of a task, between loss and gradient; those without points are left out. */
export function trainingCurves(task: AnyTask, records: readonly MetricRecord[]): readonly Chart[] {
  const charts = [
    curve(records, "loss", "Loss", `loss, ${task.lossUnit}`),
    ...task.curves.map(({ metric, title, label }) => curve(records, metric, title, label)),
    curve(records, "gradientNorm", "Norm of the gradient", "norm"),
  ];
  return charts.filter(({ series }) => series.length > 0);
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
  readonly task: AnyTask;
  readonly method: TrainingMethod;
  readonly data: { readonly name: string };
  readonly evaluation: object;
  readonly records: readonly MetricRecord[];
}

/** report.html of a run: the result, the curves, the data and the configuration. */
export function runReport({ config, task, method, data, evaluation, records }: RunReport): string {
  const training: Section = { heading: "Training", charts: trainingCurves(task, records) };
  const sections = [...task.sectionsOf(evaluation, method, data), training, task.dataSection(data), configSection(config)];
  return renderReport({ title: `${config.model.name}, ${config.method.name}, ${data.name}`, sections, footer: "diffusion-blocks" });
}
