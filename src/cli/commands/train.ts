import { fileURLToPath } from "node:url";
import { Argument, Command } from "commander";
import type { RunConfig, RunListener, TrainRunResult } from "../../experiments/index.ts";
import { models } from "../../experiments/index.ts";
import { evaluationText } from "../evaluationText.ts";
import { watchInterruption } from "../interruption.ts";
import { describesRun, runConfigOf, withRunOptions } from "../options.ts";
import { bytes, duration, peakBytes, print, printJson, say, shellCommand } from "../output.ts";
import { TrainingProgress } from "../progress.ts";

interface TrainOptions extends Readonly<Record<string, unknown>> {
  readonly run?: string;
  readonly block?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function trainCommand(): Command {
  const command = new Command("train")
    .description("train a network, or go on with a run; ends with an evaluation and report.html")
    .addArgument(new Argument("<model>", "architecture").choices(models))
    .option("--run <folder>", "where the run is kept; without other options, the run that is there goes on (default: runs/MODEL)")
    .option("--block <n>", "train only this block, by number: on a machine of its own, or for a night")
    .option("--dry-run", "print the resolved configuration and stop")
    .option("--json", "print the result as JSON");
  return withRunOptions(command).action(train);
}

async function train(model: string, options: TrainOptions): Promise<void> {
  const path = options.run ?? `runs/${model}`;
  const config = await runConfigOf(options, { model, ...(await presentConfig(options)) });
  if (options.dryRun) return printJson(config);
  const terminal = runTerminal();
  const interruption = watchInterruption(() => terminal.onNotice("Stopping after this step …"));
  const started = performance.now();
  const result = await trainOrResume(path, config, options.block, interruption.signal, terminal);
  if (interruption.signal.aborted && !result?.finished) {
    const words = ["dblocks", "train", model, "--run", path, ...(options.block === undefined ? [] : ["--block", options.block])];
    say(`Stopped; everything done so far is saved. To go on: ${shellCommand(words)}`);
    process.exitCode = interruption.exitCode()!;
    return;
  }
  const seconds = (performance.now() - started) / 1000;
  if (options.json) return printJson({ run: path, seconds, peakBytes: peakBytes(), ...result });
  printResult(model, path, result!, seconds);
}

/** A run that is named without saying anything of what it learns goes on as its config.json says. */
async function presentConfig(options: TrainOptions): Promise<object> {
  if (options.run === undefined || describesRun(options)) return {};
  const [{ RunFolder }, { runConfigSchema }] = await Promise.all([import("../../run/index.ts"), import("../../experiments/index.ts")]);
  const folder = new RunFolder(options.run);
  return (await folder.hasConfig()) ? await folder.readConfig(runConfigSchema) : {};
}

async function trainOrResume(
  path: string,
  config: RunConfig,
  unit: string | undefined,
  signal: AbortSignal,
  terminal: RunTerminal,
): Promise<TrainRunResult | undefined> {
  const { trainBlocksInProcesses, trainRun } = await import("../../experiments/index.ts");
  if (config.execution.schedule === "parallel" && unit === undefined) {
    const script = fileURLToPath(new URL("../main.js", import.meta.url));
    const onLine = (block: string, line: string): void => say(`[${block}] ${line}`);
    await trainBlocksInProcesses({ path, config, script, signal, onLine, onNotice: say });
    if (signal.aborted) return undefined;
  }
  const result = await trainRun({ path, config, unit, signal, ...terminal });
  terminal.pause();
  return result;
}

type RunTerminal = Required<RunListener> & { pause(): void };

/** What a run tells, as people read it on stderr. */
function runTerminal(): RunTerminal {
  let progress: TrainingProgress | undefined;
  const pause = (): void => progress?.pause();
  const onNotice = (text: string): void => {
    pause();
    say(text);
  };
  return {
    pause,
    onNotice,
    onStart: ({ config: { training }, task: { method, data, amount }, steps, device, units, folder }) => {
      const imagesPerStep = training.batchSize * training.accumulate;
      const what = units.length === 1 ? `${units[0]!.name}, ${steps} steps` : `${units.length} units, ${steps} steps each,`;
      onNotice(
        `${method.name} on ${data.name} (${amount}): ${what} of ${imagesPerStep} images; ${device.name}, threads: ${device.threads}; ${folder.path}`,
      );
      progress = new TrainingProgress({ units: units.map(({ name }) => name), steps, imagesPerStep });
    },
    onStep: ({ name }, report) => progress?.step(name, report),
    onEvaluated: ({ name }, step, metrics) => onNotice(`${name} step ${step}: ${measured(metrics)}`),
  };
}

function printResult(model: string, path: string, { evaluation, steps, reportPath }: TrainRunResult, seconds: number): void {
  say(`${duration(seconds)}, peak memory ${bytes(peakBytes())}`);
  const whole = shellCommand(["dblocks", "train", model, "--run", path]);
  if (evaluation !== undefined) print(`${evaluationText(evaluation)}\nreport: ${reportPath}`);
  else print(`${Object.keys(steps).join(", ")}: trained. Once every block is, this evaluates them together: ${whole}`);
}

/** What a unit reached while it trains. */
function measured({ accuracy, bits, loss = Number.NaN }: Readonly<Record<string, number>>): string {
  if (accuracy !== undefined) return `test accuracy alone ${(100 * accuracy).toFixed(2)} %`;
  return bits === undefined ? `denoising loss on test images ${loss.toFixed(4)}` : `${bits.toFixed(3)} bits a token of validation text`;
}
