import { fileURLToPath } from "node:url";
import { Argument, Command } from "commander";
import { type AnyTask, type ConfigPart, type RunConfig, registry, UsageError } from "../../index.ts";
import {
  openRun,
  type RunListener,
  readRunConfig,
  shellCommand,
  type TrainRunResult,
  trainRun,
  trainUnitsInProcesses,
} from "../../node.ts";
import type { CommandContext } from "../context.ts";
import { watchInterruption } from "../interruption.ts";
import { bytes, duration, peakBytes, print, printJson, say } from "../output.ts";
import { TrainingProgress } from "../progress.ts";
import { assignments, describesRun, type NamedRun, namedRun, required, runConfigOf, withRunOptions } from "../runOptions.ts";
import { enterStage } from "../stage.ts";
import { UnitRows } from "../unitRows.ts";
import { list, nonNegative } from "../words.ts";

interface TrainOptions extends Readonly<Record<string, unknown>> {
  readonly run?: string;
  readonly block?: readonly string[];
  readonly units?: readonly string[];
  readonly override?: readonly string[];
  readonly progressSeconds?: number;
  readonly dryRun?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export async function trainCommand({ words, pluginArgs }: CommandContext): Promise<Command> {
  const run = await namedRun(registry, words);
  const command = new Command("train")
    .description("train a network, or resume a run; ends with an evaluation and report.html")
    .addArgument(modelArgument())
    .option("--run <folder>", "where the run is kept; without other options, the run that is there is resumed (default: runs/MODEL)")
    .option("--block <list>", "train only these blocks, by number, e.g. 0,2: on a machine of their own, or for a night", list)
    .option("--units <list>", "the same by name, e.g. block-0,block-2", list)
    .option("--override <path=value...>", "go on with another setting in the run that is there, e.g. training.epochs=30")
    .option("--dry-run", "print the resolved configuration and stop")
    .option("--progress-seconds <n>", "between lines of progress where there is no terminal", nonNegative, 10)
    .option("--quiet", "no progress: the result, and what goes wrong")
    .option("-v, --verbose", "also versions, sizes, times of reading and compiling, each file that is saved")
    .option("--json", "print the result as JSON");
  return withRunOptions(command, registry, run).action((_: string, options: TrainOptions) =>
    train(required(run, registry), options, pluginArgs),
  );
}

/** The argument of commands that are about a model. */
export function modelArgument(): Argument {
  const models = registry.models.map(({ name, summary }) => `${name}: ${summary}`);
  return new Argument("<model>", `architecture: ${models.join("; ")}`);
}

async function train(run: NamedRun, options: TrainOptions, pluginArgs: readonly string[]): Promise<void> {
  const model = run.model.name;
  const path = options.run ?? `runs/${model}`;
  const present = await presentConfig(options, run);
  const config = runConfigOf(registry, options, run, present);
  if (options.dryRun) return printJson(config);
  const terminal = options.quiet ? silentTerminal : runTerminal(config, options);
  const interruption = watchInterruption(() => terminal.onNotice("Stopping after this step …"));
  const started = performance.now();
  enterStage(`reading ${config.data.path}`);
  const units = options.units ?? options.block;
  const result = await trainOrResume({
    path,
    config,
    units,
    overrides: assignments(options.override ?? [], "--override"),
    signal: interruption.signal,
    terminal,
    isQuiet: options.quiet ?? false,
    pluginArgs,
  });
  if (interruption.signal.aborted && !result?.finished) {
    const words = ["dblocks", "train", model, "--run", path, ...(units === undefined ? [] : ["--units", units.join(",")])];
    say(`Stopped; everything done so far is saved. To resume: ${shellCommand(words)}`);
    process.exitCode = interruption.exitCode()!;
    return;
  }
  const seconds = (performance.now() - started) / 1000;
  if (options.json) return printJson({ run: path, seconds, peakBytes: peakBytes(), ...result });
  if (!options.quiet) say(`${duration(seconds)}, peak memory ${bytes(peakBytes())}`);
  printResult(run.model.task, model, path, result!);
}

/**
 * A run that is named without saying anything of what it learns is resumed as its config.json says.
 *
 * @throws {UsageError} if there is none, or it is of another model.
 */
export async function presentConfig(options: Pick<TrainOptions, "run">, run: NamedRun): Promise<ConfigPart | undefined> {
  if (options.run === undefined || describesRun(options, run)) return undefined;
  const folder = await openRun(options.run).catch(() => undefined);
  if (folder === undefined || !(await folder.hasConfig())) {
    const message = `There is no run in ${options.run} to resume. To start one there, say on what: --data PATH, or --data embedded.`;
    throw new UsageError("noRun", { path: options.run }, message);
  }
  const config = await readRunConfig(registry, folder);
  if (config.model.name === run.model.name) return config as unknown as ConfigPart;
  const message = `${options.run} holds a run of ${config.model.name}. To resume it: dblocks train ${config.model.name} --run ${options.run}`;
  throw new UsageError("otherModel", { model: config.model.name }, message);
}

/** Whether each unit is trained by a process of its own. */
function trainsInProcesses({ execution: { schedule, parallel } }: RunConfig): boolean {
  return schedule === "parallel" || parallel !== undefined;
}

interface Training {
  readonly path: string;
  readonly config: RunConfig;
  readonly units: readonly string[] | undefined;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  readonly terminal: RunTerminal;
  readonly isQuiet: boolean;
  readonly pluginArgs: readonly string[];
}

async function trainOrResume({
  path,
  config,
  units,
  overrides,
  signal,
  terminal,
  isQuiet,
  pluginArgs,
}: Training): Promise<TrainRunResult | undefined> {
  if (trainsInProcesses(config) && units === undefined) {
    const rows = new UnitRows();
    await trainUnitsInProcesses({
      registry,
      path,
      config,
      script: fileURLToPath(new URL("../main.js", import.meta.url)),
      args: [...pluginArgs, ...(process.stderr.isTTY ? ["--progress-seconds", "0.5"] : [])],
      limit: config.execution.parallel,
      overrides,
      signal,
      onLine: (name, line) => (isQuiet ? undefined : rows.line(name, line)),
      onNotice: (text) => (isQuiet ? undefined : rows.above(text)),
    });
    if (signal.aborted) return undefined;
  }
  const result = await trainRun({ registry, path, config, units, overrides, signal, ...terminal });
  terminal.pause();
  return result;
}

type RunTerminal = Required<RunListener> & { pause(): void };

/** Nothing is shown. */
const silentTerminal: RunTerminal = {
  pause: () => {},
  onNotice: () => {},
  onDetail: () => {},
  onStart: () => {},
  onStep: () => {},
  onEvaluated: () => {},
};

/** The callbacks of a run, as people read them on stderr; details with the time since the command began. */
export function runTerminal(
  { training }: Pick<RunConfig, "training">,
  { verbose = false, progressSeconds }: { verbose?: boolean; progressSeconds?: number } = {},
): RunTerminal {
  let progress: TrainingProgress | undefined;
  let task: AnyTask | undefined;
  const pause = (): void => progress?.pause();
  const onNotice = (text: string): void => {
    pause();
    say(text);
  };
  const onDetail = (text: string): void => {
    if (verbose) onNotice(`[${(performance.now() / 1000).toFixed(1)} s] ${text}`);
  };
  const stepped = new Set<string>();
  return {
    pause,
    onNotice,
    onDetail,
    onStart: ({ config, task: own, data, method, steps, device, units, folder }) => {
      task = own;
      enterStage(`training in ${folder.path}`);
      const samplesPerStep = training.batchSize * training.accumulate;
      const what = units.length === 1 ? `${units[0]!.name}, ${steps} steps` : `${units.length} units, ${steps} steps each,`;
      const countPerStep = samplesPerStep * task.countedPerSample(config.data);
      onNotice(
        `${method.name} on ${data.name} (${task.amountOf(data)}): ${what} of ${samplesPerStep} ${task.samples}; ${device.name}, threads: ${device.threads}; ${folder.path}`,
      );
      progress = new TrainingProgress({
        units: units.map(({ name }) => name),
        steps,
        countPerStep,
        counted: task.counted,
        lossUnit: task.lossUnit,
        plainSeconds: progressSeconds,
      });
    },
    onStep: ({ name }, report) => {
      if (!stepped.has(name)) onDetail(`${name}: compiled, first step made`);
      stepped.add(name);
      progress?.step(name, report);
    },
    onEvaluated: ({ name }, step, metrics) => onNotice(`${name} step ${step}: ${task!.unitTextOf(metrics)}`),
  };
}

function printResult(task: AnyTask, model: string, path: string, { evaluation, steps, reportPath }: TrainRunResult): void {
  const whole = shellCommand(["dblocks", "train", model, "--run", path]);
  if (evaluation !== undefined) print(`${task.textOf(evaluation)}\nreport: ${reportPath}`);
  else print(`${Object.keys(steps).join(", ")}: trained. Once every block is, this evaluates them together: ${whole}`);
}
