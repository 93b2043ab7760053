import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runPool } from "../cluster/index.ts";
import { equalLoss } from "../diffusion/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { planUnits } from "../measure/index.ts";
import { renderCsv, renderReport, renderTable } from "../report/index.ts";
import { configHash, type MetricRecord, openRun, RunFolder } from "../run/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { buildOptimizer, buildSchedule } from "./build.ts";
import { comparisonTable, runCells, runColumns } from "./comparisonTable.ts";
import type { ClassEvaluation } from "./evaluate.ts";
import { lossByNoise } from "./lossByNoise.ts";
import { configSection, curve } from "./report.ts";
import { identityOf, parseRunConfig, type RunConfig, type RunConfigOverrides } from "./runConfig.ts";
import { isOfText, loadData, type Task, type TaskData, taskOf } from "./task.ts";
import type { TrainRunResult } from "./trainRun.ts";

/** The systems that can be compared, by the name of their row: what each sets in the configuration. */
export const comparedMethods: Readonly<Record<string, RunConfigOverrides>> = {
  "end-to-end": { method: "end-to-end" },
  checkpointing: { method: "end-to-end", training: { checkpointing: true } },
  "shallow-twin": { method: "shallow-twin" },
  "twin-ensemble": { method: "twin-ensemble" },
  greedy: { method: "greedy" },
  "forward-forward": { method: "forward-forward" },
  "contrastive-ff": { method: "contrastive-ff" },
  backprop: { method: "backprop" },
  "noprop-dt": { method: "noprop-dt" },
  "noprop-ct": { method: "noprop-ct" },
  "noprop-fm": { method: "noprop-fm" },
  dblocks: { method: "blocks" },
  "dblocks-checkpointing": { method: "blocks", training: { checkpointing: true } },
};

/** Where a system was published with a learning rate of its own for a model: that of the contrastive Forward-Forward repository. */
const ownRates: Readonly<Partial<Record<RunConfig["model"], Readonly<Record<string, number>>>>> = {
  vit: { "forward-forward": 4e-3, "contrastive-ff": 4e-3 },
};

/** The configuration of one system. */
function configOf(base: RunConfig, { name, overrides }: ComparedSystem, training: RunConfigOverrides["training"] = {}): RunConfig {
  const learningRate = ownRates[base.model]?.[name];
  return parseRunConfig([base, ...(learningRate === undefined ? [] : [{ training: { learningRate } }]), overrides, { training }]);
}

/** What is compared unless told, by model. */
export const defaultComparison: Readonly<Record<RunConfig["model"], readonly string[]>> = {
  dit: ["end-to-end", "dblocks"],
  "masked-diffusion": ["end-to-end", "dblocks"],
  "recurrent-depth": ["end-to-end", "dblocks"],
  autoregressive: ["end-to-end", "checkpointing", "dblocks"],
  vit: ["end-to-end", "checkpointing", "greedy", "forward-forward", "dblocks"],
  mlp: ["end-to-end", "checkpointing", "greedy", "forward-forward"],
  "noprop-cnn": ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "dblocks"],
};

/** One row of a comparison: its name, and what it sets in the configuration. */
export interface ComparedSystem {
  readonly name: string;
  readonly overrides: RunConfigOverrides;
  /** The row before it by whose loss at each noise level, with the same seed, its noise range is cut. */
  readonly cutByLossOf?: string;
}

/** The systems of these names. @throws {UsageError} for an unknown one. */
export function systemsNamed(names: readonly string[]): readonly ComparedSystem[] {
  const unknown = names.filter((name) => !Object.hasOwn(comparedMethods, name));
  if (unknown.length > 0) {
    const known = Object.keys(comparedMethods);
    throw new UsageError("unknownMethod", { unknown, known }, `compare: unknown ${unknown.join(", ")}; there are ${known.join(", ")}.`);
  }
  return names.map((name) => ({ name, overrides: comparedMethods[name]! }));
}

/** How images of a diffusion model are judged: see `imageFid`. */
export interface FidMeasure {
  /** An ONNX file from images to features. */
  readonly features: string;
  readonly samples: number;
  readonly guidance: number;
  readonly steps: number;
}

/** One training of one system. */
export interface ComparedRun {
  readonly method: string;
  readonly seed: number;
  /** Top-1 test accuracy, 0 to 1, of a classifier. */
  readonly accuracy?: number;
  /** Bits for each token of held-out text, of a model of text. */
  readonly bits?: number;
  /** Distances of drawn images to the test images, of a diffusion model. */
  readonly fid?: { readonly name: string; readonly test: readonly number[] };
  /** Images times layers that training went through. */
  readonly layerEvaluations: number;
  /** Of training; undefined for a run that was stopped and resumed. */
  readonly seconds?: number | undefined;
  /** The most resident memory while training, in a process of its own, above what it held before the first step; undefined where it cannot be measured, and for a run that was stopped and resumed. */
  readonly trainingBytes?: number | undefined;
  /** What `dblocks plan` predicts for it. */
  readonly predictedBytes: number;
  /** Parameters that have a gradient at the same time: those of the largest unit. */
  readonly gradientParameters: number;
}

export interface CompareOptions {
  readonly path: string;
  /** The configuration of every run, but for method, seed, and the learning rate where a system was published with one of its own. */
  readonly base: RunConfig;
  readonly systems: readonly ComparedSystem[];
  readonly seeds: number;
  /** For models that make images. */
  readonly fid?: FidMeasure;
  /** Give each system but the shallow twin as many epochs as it takes to make the layer evaluations that the first makes. */
  readonly equalEvaluations?: boolean;
  /** What else the table tells of each system, after its name. */
  readonly columns?: readonly { readonly title: string; readonly values: Readonly<Record<string, string>> }[];
  /** Heading of the report. */
  readonly title?: string | undefined;
  /** The command line's script: every run is its `train` in a process of its own. */
  readonly script: string;
  readonly onRun?: (run: ComparedRun, isNew: boolean) => void;
  /** What a run says while it trains. */
  readonly onLine?: (name: string, line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Comparison {
  readonly runs: readonly ComparedRun[];
  /** One row for each system, over its seeds. */
  readonly table: string;
  readonly reportPath: string;
  /** Whether every run was made. */
  readonly finished: boolean;
}

/**
 * Trains every system with every seed on the same data, one after another, each in a fresh process, and puts them into one table: printed, and as
 * compare.csv, compare.json and report.html in `path`. Runs that are there already are taken as they are; one that was stopped goes on.
 *
 * @throws {UsageError} for rows in `path` that were made with another configuration, or a dit without a measure.
 * @throws {RunError} if a run fails; those before it stay.
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { path, base, systems, seeds, fid, equalEvaluations = false, columns = [], script, onRun, onLine, signal } = options;
  if (base.model === "dit" && fid === undefined)
    throw new UsageError(
      "noMeasure",
      {},
      "compare: a dit is judged by what it draws. Give --features FILE; dblocks features --data PATH makes some.",
    );
  const data = await loadData(base);
  const folder = await openRun(path, { create: true });
  const runs: ComparedRun[] = [];
  const records: MetricRecord[] = [];
  for (let seed = 0; seed < seeds && !signal?.aborted; seed++) {
    for (const system of systems) {
      if (signal?.aborted) break;
      const epochs = equalEvaluations ? { epochs: equalEpochs(base, systems[0]!, system, data) } : {};
      const config = await cutByLoss(path, system, configOf(base, system, { seed: base.training.seed + seed, ...epochs }));
      const method = system.name;
      const name = runName(method, config);
      const own = await openRun(join(path, name), { create: true });
      const hash = configHash({ ...identityOf(config, data.name), ...(fid && { fid }) });
      const known = await readRow(own, hash);
      const run = known ?? (await trainAlone({ method, name, config, hash, own, script, data, fid, onLine, signal }));
      if (run === undefined) break;
      runs.push(run);
      if (seed === 0) records.push(...(await own.readMetrics()).map((record) => ({ ...record, unit: `${method} ${record.unit}` })));
      onRun?.(run, known === undefined);
    }
  }
  const methods = systems.map(({ name }) => name);
  const table = comparisonTable(methods, runs, columns);
  await folder.writeFile("compare.csv", renderCsv(runColumns, runs.map(runCells)));
  await folder.writeFile("compare.json", `${JSON.stringify({ data: data.name, runs }, null, 2)}\n`);
  const html = renderReport({
    title: options.title ?? `${base.model} on ${data.name}: ${methods.join(", ")}`,
    subtitle: `${new Set(runs.map(({ seed }) => seed)).size} of ${seeds} seeds; ± is the sample standard deviation over them. Every run was trained in a process of its own.`,
    sections: [
      { heading: "Result", table },
      { heading: "Every run", isFolded: true, table: { columns: runColumns, rows: runs.map(runCells) } },
      {
        heading: "Training, first seed",
        charts: [
          curve(records, "validation/accuracy", "Test accuracy of each unit alone", "accuracy"),
          curve(records, "accuracy", "Training accuracy", "accuracy"),
          curve(records, "loss", "Loss", "loss"),
        ].filter(({ series }) => series.length > 0),
      },
      taskOf(configOf(base, systems[0]!), data).dataSection(),
      configSection(base),
    ],
    footer: "diffusion-blocks",
  });
  const finished = runs.length === methods.length * seeds;
  return { runs, table: renderTable(table.columns, table.rows), reportPath: await folder.writeReport(html), finished };
}

function runName(system: string, { training: { seed } }: RunConfig): string {
  return `${system.replace(/[^\w.-]+/g, "-")}-s${seed}`;
}

/** The configuration of a system whose noise range is cut by what another run measures. @throws {RunError} if that run was not made. */
async function cutByLoss(path: string, { name, cutByLossOf }: ComparedSystem, config: RunConfig): Promise<RunConfig> {
  if (cutByLossOf === undefined) return config;
  const pilot = join(path, runName(cutByLossOf, config));
  if (!(await new RunFolder(pilot).hasConfig())) {
    const message = `"${name}" is cut by the losses of "${cutByLossOf}", which was not trained. Let that row be trained too, before it.`;
    throw new RunError("noPilot", { name, cutByLossOf }, message);
  }
  const { noise, losses } = await lossByNoise(pilot);
  return parseRunConfig([config, { blocks: { boundaries: equalLoss(config.blocks.numBlocks, noise, losses) } }]);
}

/** Epochs in which a system makes about as many layer evaluations as the first does in those of `base`; the shallow twin is what it is. */
function equalEpochs(base: RunConfig, first: ComparedSystem, system: ComparedSystem, data: TaskData): number {
  const { epochs } = base.training;
  if (system.name === "shallow-twin") return epochs;
  const ofEpoch = (one: ComparedSystem): number =>
    taskOf(configOf(base, one), data).method.units.reduce((sum, { numLayers }) => sum + numLayers, 0);
  return Math.max(1, Math.round((epochs * ofEpoch(first)) / ofEpoch(system)));
}

interface OneRun extends Pick<CompareOptions, "script" | "signal"> {
  readonly fid: FidMeasure | undefined;
  readonly onLine?: ((name: string, line: string) => void) | undefined;
  readonly method: string;
  readonly name: string;
  readonly config: RunConfig;
  readonly hash: string;
  readonly own: RunFolder;
  readonly data: TaskData;
}

/** One run, trained and judged in processes of its own; undefined if it was stopped. */
async function trainAlone({
  method,
  name,
  config,
  hash,
  own,
  script,
  data,
  fid,
  onLine = () => {},
  signal,
}: OneRun): Promise<ComparedRun | undefined> {
  const isResumed = await own.hasConfig();
  const file = await own.writeFile("options.json", `${JSON.stringify(config, null, 2)}\n`);
  const call = async (args: readonly string[]): Promise<string | undefined> => {
    const { code, output } = (await runPool({ script, tasks: [{ name, args: [...args] }], onLine, signal }))[name]!;
    if (signal?.aborted) return undefined;
    if (code === 0) return output;
    const message = `${name} ended with exit code ${code}; the reason stands above. The other runs are kept: the same command goes on.`;
    throw new RunError("runFailed", { name, code }, message);
  };
  const trained = await call(["train", config.model, "--config", file, "--run", own.path, "--json"]);
  if (trained === undefined) return undefined;
  const { evaluation, cost } = JSON.parse(trained) as TrainRunResult;
  let quality: Pick<ComparedRun, "accuracy" | "fid" | "bits"> = isOfText(evaluation!)
    ? { bits: evaluation.bits }
    : { accuracy: (evaluation as ClassEvaluation).mean };
  if (fid !== undefined) {
    const { features, samples, guidance, steps } = fid;
    const asked = ["--features", features, "--samples", `${samples}`, "--guidance", `${guidance}`, "--steps", `${steps}`];
    const judged = await call(["evaluate", own.path, ...asked, "--json"]);
    if (judged === undefined) return undefined;
    quality = { fid: (JSON.parse(judged) as { fid: NonNullable<ComparedRun["fid"]> }).fid };
  }
  const run: ComparedRun = {
    method,
    seed: config.training.seed,
    ...quality,
    ...(!isResumed && { seconds: cost.seconds }),
    ...(!isResumed && cost.peakBytes !== undefined && { trainingBytes: cost.peakBytes - cost.baseBytes! }),
    ...sizesOf(config, taskOf(config, data)),
  };
  await own.writeFile("row.json", `${JSON.stringify({ hash, run }, null, 2)}\n`);
  return run;
}

/** What is known of a run from its configuration. */
function sizesOf(
  config: RunConfig,
  { method, stepsPerEpoch }: Task,
): Pick<ComparedRun, "layerEvaluations" | "predictedBytes" | "gradientParameters"> {
  const { steps } = buildSchedule(config, stepsPerEpoch);
  const { batchSize, accumulate, checkpointing, emaDecay } = config.training;
  const options = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined, checkpointing };
  return {
    layerEvaluations: Math.round(method.units.reduce((sum, { numLayers }) => sum + numLayers * steps * batchSize * accumulate, 0)),
    predictedBytes: planUnits(method, options).peak,
    gradientParameters: Math.max(
      ...method.units.map(({ trainable }) => [...trainable.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0)),
    ),
  };
}

/** The row that a finished run left. @throws {UsageError} if it belongs to another configuration. */
async function readRow(own: RunFolder, hash: string): Promise<ComparedRun | undefined> {
  const text = await readFile(join(own.path, "row.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const row = JSON.parse(text) as { hash: string; run: ComparedRun };
  if (row.hash === hash) return row.run;
  const message = `${own.path} holds a run with another configuration. Choose another --run, or repeat the options it was made with.`;
  throw new UsageError("otherConfig", { path: own.path }, message);
}
