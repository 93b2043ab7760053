import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runPool } from "../cluster/index.ts";
import {
  type AnyTask,
  buildMethod,
  buildOptimizer,
  buildSchedule,
  type ConfigPart,
  identityOf,
  parseRunConfig,
  partsFor,
  type Registry,
  type RunConfig,
} from "../define/index.ts";
import { equalLoss } from "../diffusion/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { planUnits } from "../measure/index.ts";
import { renderCsv, renderReport, renderTable } from "../report/index.ts";
import { configHash, openRun, RunFolder } from "../run/index.ts";
import { configSection, loadData, lossByNoise, openTrainedRun, readFeatures, type TrainRunResult, trainingCurves } from "../runs/index.ts";
import { type MetricRecord, parameterCount, type TrainingMethod } from "../train/index.ts";
import type { ComparedRun, ComparedSystem, ExtraColumn, FidMeasure } from "./comparedRun.ts";
import { comparisonTable, runCells, runColumns } from "./comparisonTable.ts";

export interface CompareOptions {
  readonly registry: Registry;
  readonly path: string;
  readonly model: string;
  /** Options of all runs; options of a method are for the systems that have them. */
  readonly base: readonly ConfigPart[];
  readonly systems: readonly ComparedSystem[];
  readonly seeds: number;
  /** For models that make images. */
  readonly fid?: FidMeasure;
  /** Give each system but the shallow twin as many epochs as it takes to make the layer evaluations that the first makes. */
  readonly equalEvaluations?: boolean;
  readonly columns?: readonly ExtraColumn[];
  /** Heading of the report. */
  readonly title?: string | undefined;
  /** The command line's script: every run is its `train` in a process of its own. */
  readonly script: string;
  /** More arguments of each process: plugins. */
  readonly args?: readonly string[];
  readonly onRun?: (run: ComparedRun, isNew: boolean) => void;
  /** Called with each line that a run writes while it trains. */
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
 * Trains every system with every seed on the same data, one after another, each in a fresh process, and puts them
 * into one table: printed, and as compare.csv, compare.json and report.html in `path`. Runs that are there already
 * are taken as they are; one that was stopped is resumed.
 *
 * @throws {UsageError} for rows in `path` that were made with another configuration.
 * @throws {RunError} if a run fails; those before it stay.
 */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { registry, path, systems, seeds, fid, equalEvaluations = false, columns = [], onRun, signal } = options;
  if (fid !== undefined) await readFeatures(fid.features); // hours later is too late
  const first = configOf(options, systems[0]!);
  const { task } = registry.model(options.model);
  const data = (await loadData(task, first.data)) as { readonly name: string };
  const folder = await openRun(path, { create: true });
  const runs: ComparedRun[] = [];
  const records: MetricRecord[] = [];
  for (let seed = 0; seed < seeds && !signal?.aborted; seed++) {
    for (const system of systems) {
      if (signal?.aborted) break;
      const epochs = equalEvaluations ? { epochs: equalEpochs(options, system, data) } : {};
      const config = await cutByLoss(options, system, { training: { seed: first.training.seed + seed, ...epochs } });
      const name = runName(system.name, config);
      const own = await openRun(join(path, name), { create: true });
      const hash = configHash({ ...identityOf(registry, config, data.name), ...(fid && { fid }) });
      const known = await readRow(own, hash);
      const run = known ?? (await trainAlone(options, { system, name, config, hash, own, task, data }));
      if (run === undefined) break;
      runs.push(run);
      if (seed === 0) records.push(...(await own.readMetrics()).map((record) => ({ ...record, unit: `${system.name} ${record.unit}` })));
      onRun?.(run, known === undefined);
    }
  }
  const names = systems.map(({ name }) => name);
  const table = comparisonTable(names, runs, columns);
  await folder.writeFile("compare.csv", renderCsv(runColumns, runs.map(runCells)));
  await folder.writeFile("compare.json", `${JSON.stringify({ data: data.name, runs }, null, 2)}\n`);
  const html = renderReport({
    title: options.title ?? `${options.model} on ${data.name}: ${names.join(", ")}`,
    subtitle: `${new Set(runs.map(({ seed }) => seed)).size} of ${seeds} seeds; ± is the sample standard deviation over them. Every run was trained in a process of its own.`,
    sections: [
      { heading: "Result", table },
      { heading: "Every run", isFolded: true, table: { columns: runColumns, rows: runs.map(runCells) } },
      { heading: "Training, first seed", charts: trainingCurves(task, records) },
      task.dataSection(data),
      configSection(first),
    ],
    footer: "diffusion-blocks",
  });
  const finished = runs.length === systems.length * seeds;
  return { runs, table: renderTable(table.columns, table.rows), reportPath: await folder.writeReport(html), finished };
}

/** The configuration of one system: the common parts, then its own. */
function configOf({ registry, model, base }: CompareOptions, { method, overrides }: ComparedSystem, over: ConfigPart = {}): RunConfig {
  return parseRunConfig(registry, [...partsFor(registry, model, method, [...base, overrides]), over]);
}

function runName(system: string, { training: { seed } }: RunConfig): string {
  return `${system.replace(/[^\w.-]+/g, "-")}-s${seed}`;
}

/**
 * The configuration of a system, its noise range cut by the losses of another run where it says so.
 *
 * @throws {RunError} if that run was not made.
 */
async function cutByLoss(options: CompareOptions, system: ComparedSystem, over: ConfigPart): Promise<RunConfig> {
  const config = configOf(options, system, over);
  const { name, cutByLossOf } = system;
  if (cutByLossOf === undefined) return config;
  const pilot = join(options.path, runName(cutByLossOf, config));
  if (!(await new RunFolder(pilot).hasConfig())) {
    const message = `"${name}" is cut by the losses of "${cutByLossOf}", which was not trained. Let that row be trained too, before it.`;
    throw new RunError("noPilot", { name, cutByLossOf }, message);
  }
  const { noise, losses } = await lossByNoise(await openTrainedRun(options.registry, pilot));
  const boundaries = equalLoss(config.method.numBlocks as number, noise, losses);
  return configOf(
    options,
    { ...system, overrides: { ...system.overrides, method: { ...(system.overrides.method as object), boundaries } } },
    over,
  );
}

/**
 * Epochs in which a system makes about as many layer evaluations as the first does in those of the common parts; the
 * shallow twin stays as it is.
 */
function equalEpochs(options: CompareOptions, system: ComparedSystem, data: { readonly name: string }): number {
  const [first] = options.systems;
  const { epochs } = configOf(options, first!).training;
  if (system.method === "shallow-twin") return epochs;
  const ofEpoch = (one: ComparedSystem): number =>
    methodOf(options, configOf(options, one), data).units.reduce((sum, { layerEvaluations }) => sum + layerEvaluations, 0);
  return Math.max(1, Math.round((epochs * ofEpoch(first!)) / ofEpoch(system)));
}

function methodOf({ registry }: Pick<CompareOptions, "registry">, config: RunConfig, data: { readonly name: string }): TrainingMethod {
  const { task } = registry.model(config.model.name);
  return buildMethod(registry, config, task.shapeOf(task.infoOf(data), config.data), data);
}

interface OneRun {
  readonly system: ComparedSystem;
  readonly name: string;
  readonly config: RunConfig;
  readonly hash: string;
  readonly own: RunFolder;
  readonly task: AnyTask;
  readonly data: { readonly name: string };
}

/** One run, trained and evaluated in processes of its own; undefined if it was stopped. */
async function trainAlone(
  options: CompareOptions,
  { system, name, config, hash, own, task, data }: OneRun,
): Promise<ComparedRun | undefined> {
  const { script, args = [], onLine = () => {}, signal, fid } = options;
  const isResumed = await own.hasConfig();
  const file = await own.writeFile("options.json", `${JSON.stringify(config, null, 2)}\n`);
  const call = async (words: readonly string[]): Promise<string | undefined> => {
    const { code, output } = (await runPool({ script, tasks: [{ name, args: [...words, ...args] }], onLine, signal }))[name]!;
    if (signal?.aborted) return undefined;
    if (code === 0) return output;
    const message = `${name} ended with exit code ${code}; the reason stands above. The other runs are kept: the same command resumes.`;
    throw new RunError("runFailed", { name, code }, message);
  };
  const trained = await call(["train", config.model.name, "--method", config.method.name, "--config", file, "--run", own.path, "--json"]);
  if (trained === undefined) return undefined;
  const { evaluation, cost } = JSON.parse(trained) as TrainRunResult;
  let score = task.scoreOf(evaluation);
  if (fid !== undefined) {
    const { features, samples, guidance, steps } = fid;
    const asked = ["--features", features, "--samples", `${samples}`, "--guidance", `${guidance}`, "--steps", `${steps}`];
    const judged = await call(["evaluate", own.path, ...asked, "--json"]);
    if (judged === undefined) return undefined;
    const measured = (JSON.parse(judged) as { fid: { name: string; test: readonly number[] } }).fid;
    const value = measured.test.reduce((sum, one) => sum + one, 0) / measured.test.length;
    score = { title: `${measured.name}, test`, value, best: "min", digits: 2, hint: "mean of three evaluations" };
  }
  const run: ComparedRun = {
    method: system.name,
    seed: config.training.seed,
    score,
    ...(!isResumed && { seconds: cost.seconds }),
    ...(!isResumed && cost.peakBytes !== undefined && { trainingBytes: cost.peakBytes - cost.baseBytes! }),
    ...sizesOf(options, config, task, data),
  };
  await own.writeFile("row.json", `${JSON.stringify({ hash, run }, null, 2)}\n`);
  return run;
}

/** Quantities of a run that follow from its configuration. */
function sizesOf(
  options: CompareOptions,
  config: RunConfig,
  task: AnyTask,
  data: { readonly name: string },
): Pick<ComparedRun, "layerEvaluations" | "predictedBytes" | "gradientParameters"> {
  const method = methodOf(options, config, data);
  const { batchSize, accumulate, checkpointing, emaDecay } = config.training;
  const { steps } = buildSchedule(config, task.batches(data, config.data, config.training).stepsPerEpoch);
  const planned = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined, checkpointing };
  return {
    layerEvaluations: Math.round(method.units.reduce((sum, unit) => sum + unit.layerEvaluations * steps * batchSize * accumulate, 0)),
    predictedBytes: planUnits(method, planned).peak,
    gradientParameters: Math.max(...method.units.map(({ trainable }) => parameterCount(trainable))),
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
