import type { AnyTask, RunConfig } from "../define/index.ts";
import { blockOfSigma, isNoisePartition } from "../diffusion/index.ts";
import { type Cell, type Chart, renderReport, type Section } from "../report/index.ts";
import type { Device } from "../runtime/index.ts";
import type { MetricRecord, TrainingMethod } from "../train/index.ts";
import type { LossByNoise } from "./lossByNoise.ts";
import { machineText, softwareVersions } from "./provenance.ts";

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

/** The loss over ln σ, a curve for each block over the range that it owns, so that the cuts show. */
function noiseSection({ task, method, lossByNoise }: RunReport): readonly Section[] {
  const { partition, units } = method;
  if (lossByNoise === undefined || partition === undefined || !isNoisePartition(partition)) return [];
  const points = lossByNoise.losses.map(({ sigma, loss }) => ({
    block: blockOfSigma(partition, sigma),
    point: [Math.log(sigma), loss] as const,
  }));
  const series = units.map(({ name }, block) => ({ name, points: points.filter((one) => one.block === block).map(({ point }) => point) }));
  const chart: Chart = {
    title: "Loss by noise level",
    xLabel: "ln sigma",
    yLabel: `loss, ${task.lossUnit}`,
    series: series.filter((one) => one.points.length > 0),
  };
  return [
    {
      heading: "Loss over sigma",
      paragraphs: ["On held-out data, at levels that training draws equally often; each block answers in the range that it owns."],
      charts: [chart],
    },
  ];
}

export interface RunReport {
  readonly config: RunConfig;
  readonly task: AnyTask;
  readonly method: TrainingMethod;
  readonly data: { readonly name: string };
  readonly evaluation: object;
  readonly records: readonly MetricRecord[];
  /** Of methods with noise levels. */
  readonly lossByNoise: LossByNoise | undefined;
  /** What the trained model draws, where it draws something. */
  readonly samples: Section | undefined;
  /** Folder of the run. */
  readonly path: string;
  readonly device: Pick<Device, "name" | "threads">;
  readonly cost: { readonly seconds: number; readonly baseBytes?: number; readonly peakBytes?: number };
}

/** How a run was made: the command that resumes it, versions, machine, time and memory of this process. */
function provenanceSection({ config, path, device, cost }: RunReport): Section {
  const megabytes = (count: number): string => `${(count / 1e6).toFixed(0)} MB`;
  const rows: Cell[][] = [
    ["command", `dblocks train ${config.model.name} --run ${path}`],
    ["version", softwareVersions()],
    ["machine", machineText()],
    ["device", `${device.name}, threads: ${device.threads}`],
    ["training time", `${cost.seconds.toFixed(0)} s in the last process`],
  ];
  if (cost.peakBytes !== undefined && cost.baseBytes !== undefined)
    rows.push(["peak memory", `${megabytes(cost.peakBytes)}, of which training ${megabytes(cost.peakBytes - cost.baseBytes)}`]);
  return { heading: "How it was made", table: { columns: ["", ""], rows } };
}

/** report.html of a run: the result, the curves, the data and the configuration. */
export function runReport(report: RunReport): string {
  const { config, task, method, data, evaluation, records, samples } = report;
  const training: Section = { heading: "Training", charts: trainingCurves(task, records) };
  const sections = [
    ...task.sectionsOf(evaluation, method, data),
    ...(samples === undefined ? [] : [samples]),
    ...noiseSection(report),
    training,
    task.dataSection(data),
    provenanceSection(report),
    configSection(config),
  ];
  return renderReport({ title: `${config.model.name}, ${config.method.name}, ${data.name}`, sections, footer: "diffusion-blocks" });
}
