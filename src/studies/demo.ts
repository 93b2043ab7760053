import type { ImageDataset } from "../data/index.ts";
import { buildMethod, type ConfigPart, parseRunConfig, type Registry, type RunConfig, resolveConfig } from "../define/index.ts";
import { planUnit } from "../measure/index.ts";
import { type Column, renderReport, renderTable, type Table } from "../report/index.ts";
import { openRun } from "../run/index.ts";
import { buildOptimizer, buildSchedule, configSection, curve, loadData } from "../runs/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { classes, percent, sampleSheet } from "../tasks/index.ts";
import { type Classifier, type MetricRecord, type StepReport, type TrainingMethod, train, type Unit } from "../train/index.ts";

/** Chosen so that three networks train in less than three minutes on two cores: patches of 8 make 17 tokens. */
const demoPart: ConfigPart = {
  model: { name: "vit", patchSize: 8, width: 64, numLayers: 6, numHeads: 4 },
  training: { epochs: 14, batchSize: 32, learningRate: 2e-3 },
  data: { path: "embedded", augmentation: "none" },
};

/** The demo's configuration of one way of training. */
export function demoConfig(registry: Registry, method: string, part: ConfigPart = {}): RunConfig {
  return parseRunConfig(registry, [demoPart, part, { method }]);
}

/** One way of training, and what came of it. */
export interface DemoRow {
  readonly method: string;
  readonly accuracy: number;
  /** Images times layers that training went through: the same for all but the shallow twin, which has fewer layers. */
  readonly layerEvaluations: number;
  readonly seconds: number;
  /** Parameters, gradients, optimiser state and activations of the largest unit, predicted from its graph. */
  readonly memoryBytes: number;
}

export interface DemoListener {
  onStart?(demo: { readonly config: RunConfig; readonly data: ImageDataset; readonly device: Device }): void;
  /** Called before the first step of each way of training. */
  onMethod?(method: TrainingMethod, steps: number): void;
  onStep?(unit: Unit, report: StepReport): void;
}

export interface DemoOptions extends DemoListener {
  readonly registry: Registry;
  readonly path: string;
  readonly overrides?: ConfigPart;
}

export interface DemoResult {
  readonly rows: readonly DemoRow[];
  /** The rows as text. */
  readonly table: string;
  readonly reportPath: string;
}

/** Trains one network in three blocks, end to end, and its shallow twin on the embedded images, and writes the comparison. */
export async function demo({ registry, path, overrides, ...listener }: DemoOptions): Promise<DemoResult> {
  const config = demoConfig(registry, "blocks", overrides);
  const folder = await openRun(path, { create: true });
  const { task } = resolveConfig(registry, config);
  const data = (await loadData(task, config.data)) as ImageDataset;
  const { device: name, threads } = config.execution;
  await using device = await openDevice(name, { threads });
  listener.onStart?.({ config, data, device });
  const rows: DemoRow[] = [];
  const records: MetricRecord[] = [];
  for (const way of ["blocks", "end-to-end", "shallow-twin"]) {
    const own = demoConfig(registry, way, overrides);
    const method = buildMethod(registry, own, task.shapeOf(task.infoOf(data), own.data), data) as Classifier;
    rows.push(await trainOneWay(method, { registry, config: own, data, device, records, listener }));
  }
  const { columns, rows: cells } = comparison(rows);
  const html = renderReport({
    title: "One network, trained three ways",
    subtitle:
      "A vision transformer of 6 layers on images that the library draws itself: in 3 blocks that learn alone (DiffusionBlocks), end to end, and the 2-layer network that the blocks' memory would buy.",
    sections: [
      { heading: "Result", table: { columns, rows: cells } },
      {
        heading: "Training",
        charts: [curve(records, "loss", "Loss", "loss"), curve(records, "accuracy", "Training accuracy", "accuracy")],
      },
      { heading: "Data", images: [{ caption: `${data.numClasses} classes, drawn anew for every picture`, png: sampleSheet(data)! }] },
      configSection(config),
    ],
    footer: "Repeat it: npm start",
  });
  return { rows, table: renderTable(columns, cells), reportPath: await folder.writeReport(html) };
}

interface OneWay {
  readonly registry: Registry;
  readonly config: RunConfig;
  readonly data: ImageDataset;
  readonly device: Device;
  readonly records: MetricRecord[];
  readonly listener: DemoListener;
}

async function trainOneWay(method: Classifier, { registry, config, data, device, records, listener }: OneWay): Promise<DemoRow> {
  const { batchSize, seed, clipNorm } = config.training;
  const { task } = resolveConfig(registry, config);
  const batches = task.batches(data, config.data, config.training);
  const { steps, learningRate } = buildSchedule(config, batches.stepsPerEpoch);
  const optimizer = buildOptimizer(config);
  const parameters = new Map<string, Float32Array>();
  listener.onMethod?.(method, steps);
  const started = performance.now();
  await train(method, {
    device,
    batches,
    batchSize,
    steps,
    schedule: "sequential",
    optimizer,
    learningRate,
    seed,
    clipNorm,
    onStep: (unit, report) => {
      listener.onStep?.(unit, report);
      if (report.step % 10 !== 0) return;
      const name = method.units.length > 1 ? unit.name : method.name;
      records.push({ unit: name, step: report.step, time: Date.now() / 1000, values: { loss: report.loss, ...report.metrics } });
    },
    onUnitDone: (unit, values) => {
      for (const name of [...unit.trainable.keys(), ...unit.frozen.keys()]) parameters.set(name, values(name).slice());
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const { mean } = await classes.evaluate(method, data, { device, values: (name) => parameters.get(name)!, batchSize: 100, seeds: 1 });
  const plans = method.units.map((unit) => planUnit(method, unit, { batchSize, optimizer, ema: false, checkpointing: false }));
  return {
    method: method.name,
    accuracy: mean,
    layerEvaluations: method.units.reduce((sum, unit) => sum + unit.layerEvaluations * steps * batchSize, 0),
    seconds,
    memoryBytes: Math.max(...plans.map((plan) => plan.parameters + plan.gradients + plan.optimizer + plan.activations)),
  };
}

function comparison(rows: readonly DemoRow[]): Table {
  const columns: (string | Column)[] = [
    "method",
    { title: "test accuracy", best: "max" },
    "layer evaluations",
    "training time",
    { title: "training memory", best: "min", hint: "parameters, gradients, optimiser state and activations, predicted from the graph" },
  ];
  const cells = rows.map(({ method, accuracy, layerEvaluations, seconds, memoryBytes }) => [
    method,
    percent(accuracy),
    layerEvaluations,
    { text: `${seconds.toFixed(0)} s`, value: seconds },
    { text: `${(memoryBytes / 1e6).toFixed(1)} MB`, value: memoryBytes },
  ]);
  return { columns, rows: cells };
}
