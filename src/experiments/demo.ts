import { loadImages } from "../data/index.ts";
import { type Column, renderReport, renderTable } from "../report/index.ts";
import { type MetricRecord, openRun } from "../run/index.ts";
import { openDevice } from "../runtime/index.ts";
import { memoryProfile } from "../tensor/index.ts";
import { gradientProgram, type StepReport, type TrainingMethod, train, type Unit } from "../train/index.ts";
import { buildBatches, buildMethod, buildOptimizer, buildSchedule } from "./build.ts";
import { evaluateMethod } from "./evaluate.ts";
import { curve, percent, sampleSheet } from "./report.ts";
import { parseRunConfig, type RunConfigOverrides } from "./runConfig.ts";

/** Chosen so that three networks train in less than three minutes on two cores: patches of 8 make 17 tokens. */
const demoConfig: RunConfigOverrides = {
  network: { patchSize: 8, width: 64, numLayers: 6, numHeads: 4 },
  training: { epochs: 14, batchSize: 32, learningRate: 2e-3 },
  data: { path: "embedded", augmentation: "none" },
};

export interface DemoRow {
  readonly method: string;
  readonly accuracy: number;
  readonly layerEvaluations: number;
  readonly seconds: number;
  /** Activations of the largest unit's step, from the graph. */
  readonly activationBytes: number;
}

export interface DemoOptions {
  readonly path: string;
  readonly overrides?: RunConfigOverrides;
  readonly onStep?: (method: TrainingMethod, unit: Unit, report: StepReport, steps: number) => void;
}

/** Trains one network in three blocks, end to end, and its shallow twin on the embedded images, and writes the comparison. */
export async function demo({ path, overrides = {}, onStep }: DemoOptions): Promise<{ rows: DemoRow[]; table: string; reportPath: string }> {
  const base = parseRunConfig([demoConfig, overrides]);
  const data = await loadImages(base.data.path);
  const folder = await openRun(path, { create: true });
  await using device = await openDevice(base.execution.device, base.execution.threads ? { threads: base.execution.threads } : {});
  const rows: DemoRow[] = [];
  const records: MetricRecord[] = [];
  for (const method of (["blocks", "end-to-end", "shallow-twin"] as const).map((name) => buildMethod({ ...base, method: name }, data))) {
    const parameters = new Map<string, Float32Array>();
    const batches = buildBatches(base, data);
    const { steps, learningRate } = buildSchedule(base, batches.stepsPerEpoch);
    const { training } = base;
    const started = performance.now();
    await train(method, {
      device,
      batches,
      batchSize: training.batchSize,
      steps,
      schedule: "sequential",
      optimizer: buildOptimizer(base),
      learningRate,
      seed: training.seed,
      clipNorm: training.clipNorm,
      onStep: (unit, report) => {
        onStep?.(method, unit, report, steps);
        const name = method.units.length > 1 ? unit.name : method.name;
        if (report.step % 10 === 0)
          records.push({
            unit: name,
            step: report.step,
            time: 0,
            values: { loss: report.loss, accuracy: report.metrics.accuracy ?? Number.NaN },
          });
      },
      onUnitDone: (unit, values) => {
        for (const name of [...unit.trainable.keys(), ...unit.frozen.keys()]) parameters.set(name, values(name).slice());
      },
    });
    const seconds = (performance.now() - started) / 1000;
    const { mean } = await evaluateMethod(method, data, { device, values: (name) => parameters.get(name)!, batchSize: 100, seeds: 1 });
    const activationBytes = Math.max(
      ...method.units.map((unit) => memoryProfile(gradientProgram(method, unit, training.batchSize, false)).peakBytes),
    );
    const layerEvaluations = method.units.reduce((sum, { numLayers }) => sum + numLayers * steps * training.batchSize, 0);
    rows.push({ method: method.name, accuracy: mean, layerEvaluations, seconds, activationBytes });
  }
  const columns: (string | Column)[] = [
    "method",
    { title: "test accuracy", best: "max" },
    "layer evaluations",
    "training time",
    { title: "activation memory", best: "min" },
  ];
  const cells = rows.map((row) => [
    row.method,
    percent(row.accuracy),
    row.layerEvaluations.toLocaleString("en"),
    `${row.seconds.toFixed(0)} s`,
    { text: `${(row.activationBytes / 1e6).toFixed(1)} MB`, value: row.activationBytes },
  ]);
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
      { heading: "Data", images: [{ caption: "The ten classes, drawn anew for every picture", png: sampleSheet(data) }] },
      { heading: "Configuration", isFolded: true, paragraphs: [JSON.stringify(base)] },
    ],
    footer: "Repeat it: npm start",
  });
  return { rows, table: renderTable(columns, cells), reportPath: await folder.writeReport(html) };
}
