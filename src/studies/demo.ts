import { join } from "node:path";
import type { ImageDataset } from "../data/index.ts";
import { buildOptimizer, type ConfigPart, parseRunConfig, type Registry, type RunConfig } from "../define/index.ts";
import { planUnit } from "../measure/index.ts";
import { type Column, renderReport, renderTable, type Table } from "../report/index.ts";
import { openRun } from "../run/index.ts";
import { configSection, curve, type PreparedRun, trainRun } from "../runs/index.ts";
import type { Device } from "../runtime/index.ts";
import { type ClassEvaluation, percent, sampleSheet } from "../tasks/index.ts";
import type { MetricRecord, StepReport, Unit } from "../train/index.ts";

/**
 * Chosen so that the networks train in some five minutes on two cores: patches of 8 make 17 tokens. Of the learning
 * rates that were tried, two for each system, 1e-3 was the better one for all of them on validation pictures:
 * docs/QUALITY.md.
 */
const demoPart: ConfigPart = {
  model: { name: "vit", patchSize: 8, width: 64, numLayers: 6, numHeads: 4 },
  training: { epochs: 14, batchSize: 32, learningRate: 1e-3 },
  data: { path: "embedded", augmentation: "none" },
  execution: { evaluateEvery: 0 },
};

/** A system of the demo. */
interface DemoSystem {
  /** Its name in the table, and the folder of its run. */
  readonly name: string;
  readonly method: string;
  /** Passes over the data for each that is asked for. */
  readonly epochs: number;
}

const systems: readonly DemoSystem[] = [
  { name: "blocks", method: "blocks", epochs: 1 },
  { name: "end-to-end", method: "end-to-end", epochs: 1 },
  { name: "shallow-twin", method: "shallow-twin", epochs: 1 },
  { name: "shallow-twin-equal-evaluations", method: "shallow-twin", epochs: 3 },
];

/** The demo's configuration of one system; that of the blocks by default. */
export function demoConfig(registry: Registry, part: ConfigPart = {}, { method, epochs }: DemoSystem = systems[0]!): RunConfig {
  const config = parseRunConfig(registry, [demoPart, part, { method }]);
  return parseRunConfig(registry, [demoPart, part, { method, training: { epochs: epochs * config.training.epochs } }]);
}

/** A system, and what came of it. */
export interface DemoRow {
  readonly method: string;
  /** Folder of its run. */
  readonly run: string;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Images times layers that training went through. */
  readonly layerEvaluations: number;
  readonly seconds: number;
  /** Parameters, gradients, optimiser state and activations of the largest unit, predicted from its graph. */
  readonly memoryBytes: number;
}

export interface DemoListener {
  /** Called before the first step of each system. */
  onStart?(name: string, run: PreparedRun & { readonly device: Device }): void;
  onStep?(unit: Unit, report: StepReport): void;
}

export interface DemoOptions extends DemoListener {
  readonly registry: Registry;
  /** The runs and the report are kept here; runs that are there are resumed. */
  readonly path: string;
  readonly overrides?: ConfigPart;
  readonly signal?: AbortSignal | undefined;
}

export interface DemoResult {
  readonly rows: readonly DemoRow[];
  /** The rows as text, and what they say. */
  readonly table: string;
  readonly conclusion: string;
  readonly reportPath: string;
}

/**
 * Trains one network in three blocks, end to end, and its shallow twin, with as many updates and with as many layer evaluations, on the
 * embedded images, and writes the comparison. Each is a run that can be evaluated and used.
 *
 * @returns undefined after the signal: what was done is saved.
 */
export async function demo({ registry, path, overrides, signal, ...listener }: DemoOptions): Promise<DemoResult | undefined> {
  const folder = await openRun(path, { create: true });
  const rows: DemoRow[] = [];
  const records: MetricRecord[] = [];
  let data: ImageDataset | undefined;
  for (const system of systems) {
    const config = demoConfig(registry, overrides, system);
    const run = join(path, system.name);
    let prepared: PreparedRun | undefined;
    const result = await trainRun({
      registry,
      path: run,
      config,
      signal,
      onStart: (start) => {
        prepared = start;
        listener.onStart?.(system.name, start);
      },
      onStep: (unit, report) => listener.onStep?.(unit, report),
    });
    if (!result.finished) return undefined;
    const { method, folder: own } = prepared!;
    data = prepared!.data as ImageDataset;
    const log = await own.readMetrics();
    records.push(...log.map((record) => ({ ...record, unit: method.units.length > 1 ? record.unit : system.name })));
    rows.push({
      method: system.name,
      run,
      accuracy: (result.evaluation as ClassEvaluation).mean,
      learningRate: config.training.learningRate,
      ...costOf(prepared!, log),
    });
  }
  const { columns, rows: cells } = comparison(rows);
  const conclusion = conclusionOf(rows);
  const html = renderReport({
    title: "One network, trained in four ways",
    subtitle:
      "A vision transformer of 6 layers on images that the library draws itself: in 3 blocks that learn alone (DiffusionBlocks), end to end, and the 2-layer network that the memory of a block buys.",
    sections: [
      { heading: "Result", table: { columns, rows: cells }, paragraphs: [conclusion] },
      {
        heading: "Training",
        charts: [curve(records, "loss", "Loss", "loss"), curve(records, "accuracy", "Training accuracy", "accuracy")],
      },
      { heading: "Data", images: [{ caption: `${data!.numClasses} classes, drawn anew for every picture`, png: sampleSheet(data!)! }] },
      configSection(demoConfig(registry, overrides)),
    ],
    footer: "Repeat it: npm start",
  });
  return { rows, table: renderTable(columns, cells), conclusion, reportPath: await folder.writeReport(html) };
}

type Cost = Pick<DemoRow, "layerEvaluations" | "seconds" | "memoryBytes">;

/** Training time is that between the first and the last record of each unit: a run that was resumed has it too. */
function costOf({ config, method, steps }: PreparedRun, log: readonly MetricRecord[]): Cost {
  const { batchSize } = config.training;
  const optimizer = buildOptimizer(config);
  const plans = method.units.map((unit) => planUnit(method, unit, { batchSize, optimizer, ema: false, checkpointing: false }));
  const timesOf = (name: string): readonly number[] => log.filter(({ unit }) => unit === name).map(({ time }) => time);
  const seconds = method.units.reduce((sum, { name }) => sum + Math.max(...timesOf(name)) - Math.min(...timesOf(name)), 0);
  return {
    layerEvaluations: method.units.reduce((sum, unit) => sum + unit.layerEvaluations * steps * batchSize, 0),
    seconds,
    memoryBytes: Math.max(...plans.map((plan) => plan.parameters + plan.gradients + plan.optimizer + plan.activations)),
  };
}

/** Why blocks, by these figures: what they save, and what is as good or better. */
function conclusionOf(rows: readonly DemoRow[]): string {
  const of = (name: string): DemoRow => rows.find(({ method }) => method === name)!;
  const [blocks, whole, equal] = [of("blocks"), of("end-to-end"), of("shallow-twin-equal-evaluations")];
  const share = ((100 * blocks.memoryBytes) / whole.memoryBytes).toFixed(0);
  const compare = (other: DemoRow): string => {
    const points = 100 * (blocks.accuracy - other.accuracy);
    return `${Math.abs(points).toFixed(1)} points ${points >= 0 ? "above" : "below"}`;
  };
  return (
    `Why blocks? They take ${share} % of the training memory of end-to-end training, and each can be trained on a machine of its own. ` +
    `Here they are ${compare(whole)} end-to-end training, and ${compare(equal)} two layers trained as long. On images as simple as these no method needs depth: README and docs/QUALITY.md say where it is missed.`
  );
}

function comparison(rows: readonly DemoRow[]): Table {
  const columns: (string | Column)[] = [
    "method",
    { title: "test accuracy", best: "max" },
    { title: "learning rate", align: "right" },
    "layer evaluations",
    "training time",
    { title: "training memory", best: "min", hint: "parameters, gradients, optimiser state and activations, predicted from the graph" },
  ];
  const cells = rows.map(({ method, accuracy, learningRate, layerEvaluations, seconds, memoryBytes }) => [
    method,
    percent(accuracy),
    String(learningRate),
    layerEvaluations,
    { text: `${seconds.toFixed(0)} s`, value: seconds },
    { text: `${(memoryBytes / 1e6).toFixed(1)} MB`, value: memoryBytes },
  ]);
  return { columns, rows: cells };
}
