import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type AnyTask,
  buildMethod,
  buildOptimizer,
  buildSchedule,
  type ConfigPart,
  identityOf,
  merge,
  parseRunConfig,
  partsFor,
  type Registry,
  type RunConfig,
} from "../define/index.ts";
import { equalLoss } from "../diffusion/index.ts";
import { RunError } from "../errors.ts";
import { planUnits } from "../measure/index.ts";
import { renderCsv, renderReport, renderTable } from "../report/index.ts";
import { configHash, openRun, RunFolder } from "../run/index.ts";
import { configSection, loadData, lossByNoise, openTrainedRun, readFeatures, trainingCurves } from "../runs/index.ts";
import { type MetricRecord, parameterCount, type TrainingMethod } from "../train/index.ts";
import { budgetSections } from "./budgets.ts";
import type { ComparedRun, ComparedSystem, ExtraColumn, FidMeasure } from "./comparedRun.ts";
import { comparisonTable, runCells, runColumns } from "./comparisonTable.ts";
import { callAlone, type OwnProcesses, type OwnRun, readRow, trainAlone, writeRow } from "./ownProcess.ts";
import type { AbsentRow } from "./systems.ts";
import { chosenPart, folderName, type TunedOption, type Tuning, type TuningTrial, tune, tuningSections } from "./tune.ts";

export interface CompareOptions extends OwnProcesses {
  readonly registry: Registry;
  readonly path: string;
  readonly model: string;
  /** Options of all runs; options of a method are for the systems that have them. */
  readonly base: readonly ConfigPart[];
  readonly systems: readonly ComparedSystem[];
  readonly seeds: number;
  /** For models that make images. */
  readonly fid?: FidMeasure;
  /** Give each system that says nothing of its own as many epochs as it takes to make the layer evaluations that the first makes. */
  readonly equalEvaluations?: boolean;
  readonly columns?: readonly ExtraColumn[];
  /** Controls that have no row, and why. */
  readonly absent?: readonly AbsentRow[];
  /** Heading of the report. */
  readonly title?: string | undefined;
  /** Options of training that are chosen for each system on a validation part, before anything is measured on test data. */
  readonly tuned?: readonly TunedOption[] | undefined;
  readonly onTrial?: (trial: TuningTrial, isNew: boolean) => void;
  readonly onRun?: (run: ComparedRun, isNew: boolean) => void;
}

export interface Comparison {
  readonly runs: readonly ComparedRun[];
  readonly tuning?: Tuning;
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
  const { registry, path, systems, seeds, fid, columns = [], absent = [], onRun, signal } = options;
  if (fid !== undefined) await readFeatures(fid.features); // hours later is too late
  const first = configOf(options, systems[0]!);
  const { task } = registry.model(options.model);
  const data = (await loadData(task, first.data)) as { readonly name: string };
  const folder = await openRun(path, { create: true });
  const tuning = await tuneSystems(options, { task, data });
  const runs: ComparedRun[] = [];
  const records: MetricRecord[] = [];
  for (let seed = 0; seed < seeds && !signal?.aborted; seed++) {
    for (const system of systems) {
      if (signal?.aborted) break;
      const length = lengthOf(options, system, data);
      const { training: tuned } = chosenPart(tuning?.chosen ?? [], tunedAs(options, system));
      const config = await cutByLoss(options, system, { training: { seed: first.training.seed + seed, ...length, ...tuned } });
      const name = runName(system.name, config);
      const own = await openRun(join(path, name), { create: true });
      const hash = configHash({ ...identityOf(registry, config, data.name), ...(fid && { fid }) });
      const known = await readRow<ComparedRun>(own, hash);
      const run = known ?? (await trainAndMeasure(options, { system, name, config, hash, folder: own, task, data }));
      if (run === undefined) break;
      runs.push(run);
      if (seed === 0) records.push(...(await own.readMetrics()).map((record) => ({ ...record, unit: `${system.name} ${record.unit}` })));
      onRun?.(run, known === undefined);
    }
  }
  const names = systems.map(({ name }) => name);
  const table = comparisonTable(names, runs, columns);
  await folder.writeFile("compare.csv", renderCsv(runColumns, runs.map(runCells)));
  await folder.writeFile("compare.json", `${JSON.stringify({ data: data.name, runs, ...tuning }, null, 2)}\n`);
  const html = renderReport({
    title: options.title ?? `${options.model} on ${data.name}: ${names.join(", ")}`,
    subtitle: `${new Set(runs.map(({ seed }) => seed)).size} of ${seeds} seeds; ± is the sample standard deviation over them. Every run was trained in a process of its own.`,
    sections: [
      { heading: "Result", table, paragraphs: absenceNote(absent) },
      ...budgetSections(systems, runs),
      ...(tuning === undefined ? [] : tuningSections(tuning)),
      { heading: "Every run", isFolded: true, table: { columns: runColumns, rows: runs.map(runCells) } },
      { heading: "Training, first seed", charts: trainingCurves(task, records) },
      task.dataSection(data),
      configSection(first),
    ],
    footer: "diffusion-blocks",
  });
  const finished = runs.length === systems.length * seeds;
  return {
    runs,
    ...(tuning && { tuning }),
    table: [renderTable(table.columns, table.rows), ...absenceNote(absent)].join("\n\n"),
    reportPath: await folder.writeReport(html),
    finished,
  };
}

/** Runs that a comparison in this folder has made; 0 where there is none. */
export async function runsMade(path: string): Promise<number> {
  const text = await readFile(join(path, "compare.json"), "utf8").catch(() => '{ "runs": [] }');
  return (JSON.parse(text) as Pick<Comparison, "runs">).runs.length;
}

/** The configuration of one system: the common parts, then its own. */
function configOf({ registry, model, base }: CompareOptions, { method, overrides }: ComparedSystem, over: ConfigPart = {}): RunConfig {
  return parseRunConfig(registry, [...partsFor(registry, model, method, [...base, overrides]), over]);
}

function runName(system: string, { training: { seed } }: RunConfig): string {
  return `${folderName(system)}-s${seed}`;
}

/** Which controls have no row, and why. */
function absenceNote(absent: readonly AbsentRow[]): readonly string[] {
  return absent.length === 0 ? [] : [`Without a row: ${absent.map(({ name, why }) => `${name} (${why})`).join(", ")}.`];
}

/** The system whose chosen options a system takes. */
function tunedAs({ systems }: CompareOptions, { name, cutByLossOf, tunedAs: other = cutByLossOf }: ComparedSystem): string {
  return systems.some((one) => one.name === other) ? other! : name;
}

/** Chooses the options that are tuned for each system; undefined if none is, or after the signal. */
async function tuneSystems(options: CompareOptions, { task, data }: Pick<OneRun, "task" | "data">): Promise<Tuning | undefined> {
  const { tuned = [], systems, registry, path, signal } = options;
  if (tuned.length === 0 || signal?.aborted) return undefined;
  const measured = task.validationOf(data, configOf(options, systems[0]!).data) as { readonly name: string };
  return await tune({
    ...options,
    options: tuned,
    systems: [...new Set(systems.map((system) => tunedAs(options, system)))],
    registry,
    path: join(path, "tuning"),
    task,
    dataName: data.name,
    configOf: (name, over) => {
      const system = systems.find((one) => one.name === name)!;
      return configOf(options, system, merge({ training: lengthOf(options, system, data) }, over));
    },
    layerEvaluationsOf: (config) => layerEvaluationsOf(options, config, task, measured),
  });
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

/** How long a system trains: as long as the common parts say, or for as many layer evaluations as the first makes in them; times its budget. */
function lengthOf(
  options: CompareOptions,
  system: ComparedSystem,
  data: { readonly name: string },
): Pick<RunConfig["training"], "epochs" | "maxSteps"> {
  const { budget = options.equalEvaluations ? "evaluations" : "updates", times = 1 } = system;
  const { epochs, maxSteps } = configOf(options, budget === "updates" ? system : options.systems[0]!).training;
  const ofEpoch = (one: ComparedSystem): number =>
    methodOf(options, configOf(options, one), data).units.reduce((sum, { layerEvaluations }) => sum + layerEvaluations, 0);
  const share = budget === "updates" ? times : (times * ofEpoch(options.systems[0]!)) / ofEpoch(system);
  return { epochs: Number((share * epochs).toPrecision(6)), ...(maxSteps !== undefined && { maxSteps: Math.ceil(times * maxSteps) }) };
}

function methodOf({ registry }: Pick<CompareOptions, "registry">, config: RunConfig, data: { readonly name: string }): TrainingMethod {
  const { task } = registry.model(config.model.name);
  return buildMethod(registry, config, task.shapeOf(task.infoOf(data), config.data), data);
}

interface OneRun extends OwnRun {
  readonly system: ComparedSystem;
  readonly hash: string;
  readonly task: AnyTask;
  readonly data: { readonly name: string };
}

/** One run, trained and measured in processes of its own; undefined if it was stopped. */
async function trainAndMeasure(options: CompareOptions, own: OneRun): Promise<ComparedRun | undefined> {
  const { system, name, config, hash, folder, task, data } = own;
  const isResumed = await folder.hasConfig();
  const trained = await trainAlone(options, own);
  if (trained === undefined) return undefined;
  const { evaluation, cost } = trained;
  let score = task.scoreOf(evaluation);
  if (options.fid !== undefined) {
    const { features, samples, guidance, steps } = options.fid;
    const asked = ["--features", features, "--samples", `${samples}`, "--guidance", `${guidance}`, "--steps", `${steps}`];
    const judged = await callAlone(options, name, ["evaluate", folder.path, ...asked, "--json"]);
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
    learningRate: config.training.learningRate,
    ...sizesOf(options, config, task, data),
  };
  await writeRow(folder, hash, run);
  return run;
}

/** Updates of each unit. */
function updatesOf(config: RunConfig, task: AnyTask, data: { readonly name: string }): number {
  return buildSchedule(config, task.batches(data, config.data, config.training).stepsPerEpoch).steps;
}

/** Samples times layers that a training goes through. */
function layerEvaluationsOf(options: CompareOptions, config: RunConfig, task: AnyTask, data: { readonly name: string }): number {
  const { batchSize, accumulate } = config.training;
  const samples = updatesOf(config, task, data) * batchSize * accumulate;
  return Math.round(methodOf(options, config, data).units.reduce((sum, unit) => sum + unit.layerEvaluations * samples, 0));
}

type Sizes = Pick<ComparedRun, "units" | "updates" | "samples" | "layerEvaluations" | "predictedBytes" | "gradientParameters">;

/** Quantities of a run that follow from its configuration. */
function sizesOf(options: CompareOptions, config: RunConfig, task: AnyTask, data: { readonly name: string }): Sizes {
  const method = methodOf(options, config, data);
  const { batchSize, accumulate, checkpointing, parts, emaDecay } = config.training;
  const updates = updatesOf(config, task, data);
  const planned = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined, checkpointing, parts };
  return {
    units: method.units.length,
    updates,
    samples: updates * batchSize * accumulate,
    layerEvaluations: layerEvaluationsOf(options, config, task, data),
    predictedBytes: planUnits(method, planned).peak,
    gradientParameters: Math.max(...method.units.map(({ trainable }) => parameterCount(trainable))),
  };
}
