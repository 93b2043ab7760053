import { fileURLToPath } from "node:url";
import { Argument, Command } from "commander";
import { RunError, UsageError } from "../../errors.ts";
import { runConfigOf, withRunOptions } from "../options.ts";
import { bytes, duration, Progress, print, printJson, say } from "../output.ts";

export function trainCommand(): Command {
  const command = new Command("train")
    .description("train a network, or go on with a run; ends with an evaluation and report.html")
    .addArgument(new Argument("<model>", "architecture").choices(["vit"]))
    .option("--run <folder>", "where the run is kept (default: runs/MODEL)")
    .option("--block <n>", "train only this block: on a machine of its own, or for a night")
    .option("--dry-run", "print the resolved configuration and stop")
    .option("--json", "print the result as JSON");
  return withRunOptions(command).action(train);
}

async function train(model: string, options: Record<string, unknown>): Promise<void> {
  const config = await runConfigOf(options, { model });
  if (options.dryRun) return printJson(config);
  const path = (options.run as string | undefined) ?? `runs/${model}`;
  const unit = options.block as string | undefined;
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const experiments = await import("../../experiments/index.ts");
  if (config.execution.schedule === "parallel" && unit === undefined) {
    await trainInParallel(path, config.blocks.numBlocks, config, abort.signal);
    if (abort.signal.aborted) return interrupted(path);
  }
  const progress = new Progress();
  let total = 0;
  const started = performance.now();
  const result = await experiments.trainRun({
    path,
    config: config.execution.schedule === "parallel" ? { ...config, execution: { ...config.execution, schedule: "sequential" } } : config,
    unit,
    signal: abort.signal,
    onStart: ({ method, data, steps, device }) => {
      total = steps;
      say(
        `${method.name} on ${data.name} (${data.train.count} images), ${method.units.length} ${method.units.length === 1 ? "unit" : "units"} of ${steps} steps, ${device.name} with ${device.threads} threads`,
      );
    },
    onStep: ({ name }, { step, loss, metrics }) =>
      progress.step({
        unit: name,
        step,
        steps: total,
        loss,
        accuracy: metrics.accuracy,
        itemsPerStep: config.training.batchSize * config.training.accumulate,
      }),
    onEvaluated: ({ name }, step, metrics) => {
      progress.end();
      say(`${name} step ${step}: test accuracy alone ${(100 * (metrics.accuracy ?? 0)).toFixed(2)} %`);
    },
    onNotice: say,
  });
  progress.end();
  if (abort.signal.aborted && !result.finished) return interrupted(path);
  const seconds = (performance.now() - started) / 1000;
  const { peakBytes } = await import("../peak.ts");
  const peak = peakBytes();
  if (options.json) return printJson({ run: path, seconds, peakBytes: peak, ...result });
  say(`trained in ${duration(seconds)}${peak === undefined ? "" : `, peak memory ${bytes(peak)}`}`);
  if (result.evaluation === undefined)
    return print(
      `${path}: ${Object.keys(result.steps).join(", ")} trained. When every block is, the same command without --block evaluates them together.`,
    );
  print(`test accuracy ${(100 * result.evaluation.mean).toFixed(2)} ± ${(100 * result.evaluation.std).toFixed(2)} %`);
  for (const [name, accuracy] of Object.entries(result.evaluation.units)) print(`  ${name} alone ${(100 * accuracy).toFixed(2)} %`);
  print(`report: ${result.reportPath}`);
}

function interrupted(path: string): void {
  say(
    `Stopped; everything done so far is saved. The same command goes on: dblocks ${process.argv.slice(2).join(" ")}${process.argv.includes("--run") ? "" : ` --run ${path}`}`,
  );
  process.exitCode = 130;
}

/** One process for each block, on the same run folder; each gets its share of the threads. */
async function trainInParallel(
  path: string,
  numBlocks: number,
  config: Awaited<ReturnType<typeof runConfigOf>>,
  signal: AbortSignal,
): Promise<void> {
  if (config.method !== "blocks")
    throw new UsageError(
      "notBlocks",
      { method: config.method },
      `--schedule parallel trains blocks; ${config.method} has one unit. Leave --schedule out.`,
    );
  if (config.blocks.shared === "together" || typeof config.blocks.shared === "object") {
    throw new UsageError(
      "sharedParameters",
      { shared: config.blocks.shared },
      "--schedule parallel: these blocks share trained parameters, so no process can train one alone. Use --shared owned or frozen, or --schedule interleaved.",
    );
  }
  const { openRun } = await import("../../run/index.ts");
  const { cpuCount } = await import("../../runtime/index.ts");
  const { runPool } = await import("../../cluster/index.ts");
  const threads = config.execution.threads ?? Math.max(1, Math.floor(cpuCount() / numBlocks));
  const folder = await openRun(path, { create: true });
  const file = await folder.writeFile(
    "parallel.json",
    JSON.stringify({ ...config, execution: { ...config.execution, schedule: "sequential", threads } }),
  );
  const tasks = Array.from({ length: numBlocks }, (_, b) => ({
    name: `block-${b}`,
    args: ["train", "vit", "--config", file, "--run", path, "--block", String(b)],
  }));
  const codes = await runPool({
    script: fileURLToPath(new URL("../main.js", import.meta.url)),
    tasks,
    onLine: (name, line) => say(`[${name}] ${line}`),
    signal,
  });
  const failed = Object.entries(codes).filter(([, code]) => code !== 0 && !signal.aborted);
  if (failed.length > 0)
    throw new RunError(
      "blocksFailed",
      { codes },
      `${failed.map(([name, code]) => `${name} ended with exit code ${code}`).join("; ")}. The others are saved; run the same command again to go on.`,
    );
}
