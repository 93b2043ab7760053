import { writeFileSync } from "node:fs";
import { Command } from "commander";
import {
  bestTradeOffs,
  buildMethod,
  buildOptimizer,
  type ConfigPart,
  fitBudget,
  type MemoryPlan,
  type MethodOfSize,
  type NetworkPlans,
  parseRunConfig,
  planReport,
  planUnits,
  type RunConfig,
  registry,
  type TradeOff,
  type TrainingMethod,
  tradeOffs,
  UsageError,
} from "../../index.ts";
import { loadData, renderReport, renderTable } from "../../node.ts";
import type { CommandContext } from "../context.ts";
import { bytes, print, printJson } from "../output.ts";
import { type NamedRun, namedRun, required, runConfigOf, withRunOptions } from "../runOptions.ts";
import { positiveNumber } from "../words.ts";
import { modelArgument } from "./train.ts";

interface PlanCommandOptions extends Readonly<Record<string, unknown>> {
  readonly flops?: number;
  readonly budget?: number;
  readonly picture?: string;
  readonly data?: string;
  readonly json?: boolean;
}

export async function planCommand({ words }: CommandContext): Promise<Command> {
  const run = await namedRun(registry, words);
  const command = new Command("plan")
    .description("predict the memory of training without running anything: end to end and in blocks, or of any --method")
    .addArgument(modelArgument())
    .option(
      "--budget <size>",
      "find the fastest way that fits, of blocks, checkpointing, parts and accumulated batches: 500MB, 2GB",
      budgetBytes,
    )
    .option("--picture <file.html>", "write the trade-off of memory and time as a page")
    .option("--flops <rate>", "operations a second that the device sustains, e.g. 300T: predicts the time of an update", flopsRate)
    .option("--image <pixels>", "side of the images (default: that of --data, or 32)", positiveNumber)
    .option("--channels <n>", "channels of the images (default: those of --data, or 3)", positiveNumber)
    .option("--classes <n>", "classes (default: those of --data, or 10)", positiveNumber)
    .option("--vocab <n>", "symbols of text (default: those of --data, or 27, those of text8)", positiveNumber)
    .option("--json", "print the result as JSON, in bytes");
  return withRunOptions(command, registry, run).action((_: string, options: PlanCommandOptions) => plan(required(run, registry), options));
}

/** "2GB" -> 2e9; MB, GB, MiB, GiB or plain bytes. */
function budgetBytes(text: string): number {
  const [, amount, unit] = /^([\d.]+)\s*([KMG]i?B|B)?$/i.exec(text) ?? [];
  const factors: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };
  const value = Number(amount) * (factors[(unit ?? "B").toUpperCase()] ?? Number.NaN);
  if (!(value > 0)) throw new UsageError("budget", { text }, `--budget ${text}: expected is a size such as 500MB or 2GB.`);
  return value;
}

/** "300T" -> 3e14; G, T, P or a plain number. */
function flopsRate(text: string): number {
  const [, amount, unit = ""] = /^([\d.]+)\s*([GTP]?)$/i.exec(text) ?? [];
  const value = Number(amount) * { "": 1, G: 1e9, T: 1e12, P: 1e15 }[unit.toUpperCase() as "" | "G" | "T" | "P"];
  if (!(value > 0)) throw new UsageError("flops", { text }, `--flops ${text}: expected are operations a second, such as 50G or 300T.`);
  return value;
}

async function plan(run: NamedRun, options: PlanCommandOptions): Promise<void> {
  const config = runConfigOf(registry, options, run);
  const shape = await shapeOf(config, run, options);
  const method = buildMethod(registry, config, shape);
  const { batchSize, emaDecay, checkpointing, parts } = config.training;
  const settings = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined, parts };
  const numBlocks = config.method.name === "blocks" ? (config.method.numBlocks as number | undefined) : undefined;
  const networks = numBlocks === undefined ? undefined : networksOf(config, run, method, shape);
  if (numBlocks === undefined || networks === undefined) {
    if (options.budget !== undefined || options.picture !== undefined)
      throw new UsageError(
        "budget",
        { method: method.name },
        "--budget and --picture compare numbers of blocks of a network in layers: leave --method out.",
      );
    const units = planUnits(method, { ...settings, checkpointing });
    if (options.json) return printJson({ method: method.name, ...units });
    return print(
      renderTable(
        columns,
        units.perUnit.map((one) => row(one.unit, one)),
      ),
    );
  }
  const report = planReport(networks, numBlocks, settings);
  const { budget, flops, picture } = options;
  const rows = flops || budget || picture ? tradeOffs(networks.numLayers, networks.wholeOrBlocks, settings) : [];
  if (picture) writeFileSync(picture, tradeOffPage(rows, options));
  const fit = budget && fitBudget(rows, budget);
  if (options.json) return printJson({ ...report, ...(rows.length > 0 && { tradeOffs: rows }), ...(fit && { fit: { budget, ...fit } }) });
  print(
    renderTable(columns, [
      row("end-to-end", report.endToEnd),
      row("end-to-end, checkpointing", report.endToEndCheckpointing),
      ...report.blocks.perBlock.map((one) => row(one.unit, one)),
      ...report.blocksCheckpointing.perBlock.map((one) => row(`${one.unit}, checkpointing`, one)),
    ]),
  );
  if (rows.length > 0) print(`\n${tradeOffTable(bestTradeOffs(rows), options)}`);
  if (fit) print(`fits ${bytes(budget!)}: ${wayOf(fit)}, peak ${bytes(fit.peak)}`);
}

/** A way as the options that choose it. */
function wayOf({ numBlocks, checkpointing, parts, accumulate, batchSize }: TradeOff): string {
  const chosen = [
    checkpointing ? "--checkpointing" : "",
    parts > 1 ? `--parts ${parts}` : "",
    accumulate > 1 ? `--batch ${batchSize} --accumulate ${accumulate}` : "",
  ].filter((option) => option !== "");
  return `${numBlocks === 1 ? "end to end" : `${numBlocks} blocks`}${chosen.length > 0 ? ` with ${chosen.join(" ")}` : ""}`;
}

/** The network of a run end to end and in blocks, for any number of layers; undefined where it cannot be trained end to end. */
function networksOf(
  config: RunConfig,
  { model }: NamedRun,
  method: TrainingMethod,
  shape: object,
): (NetworkPlans & { readonly wholeOrBlocks: MethodOfSize }) | undefined {
  if (!registry.methodsFor(model).some(({ name }) => name === "end-to-end")) return undefined;
  const built = (numLayers: number, chosen: unknown): TrainingMethod => {
    const part = { ...config, model: { ...config.model, numLayers }, method: chosen } as ConfigPart;
    return buildMethod(registry, parseRunConfig(registry, [part], "plan"), shape);
  };
  const { layersPerBlock, ...even } = config.method;
  const evenBlocks: MethodOfSize = (numBlocks, numLayers) => built(numLayers, { ...even, numBlocks });
  const whole: MethodOfSize = (_, numLayers) => built(numLayers, "end-to-end");
  return {
    numLayers: (method.layersPerBlock ?? []).reduce((sum, layers) => sum + layers, 0),
    whole,
    blocks: layersPerBlock === undefined ? evenBlocks : () => method,
    wholeOrBlocks: (numBlocks, numLayers) => (numBlocks === 1 ? whole : evenBlocks)(numBlocks, numLayers),
  };
}

/** Sizes of the data: of --data where it is given, else of common data; each size may be given otherwise. */
async function shapeOf({ data }: RunConfig, { model: { task } }: NamedRun, options: PlanCommandOptions): Promise<object> {
  const known = options.data === undefined ? {} : (task.infoOf(await loadData(task, data)) as object);
  const { image, channels, classes, vocab } = options;
  const given = Object.entries({ height: image, width: image, channels, numClasses: classes, vocabSize: vocab }).filter(
    ([, value]) => value !== undefined,
  );
  return task.shapeOf({ ...task.commonInfo, ...known, ...Object.fromEntries(given) }, data) as object;
}

/**
 * Memory against operations, with the time where it is known how fast the device is, and what fits where there is a budget. Rows that
 * another beats in all of it are left out.
 */
function tradeOffTable(rows: readonly TradeOff[], { flops, budget }: PlanCommandOptions): string {
  const right = (title: string) => ({ title, align: "right" }) as const;
  const seconds = (count: number): string => `${(count / flops!).toPrecision(3)} s`;
  const shown = [right("blocks"), "checkpointing", right("parts"), right("batch"), right("peak of a process"), right("GFLOP an update")];
  if (flops !== undefined) shown.push(right("one machine"), right("a machine for each block"));
  if (budget !== undefined) shown.push("fits");
  return renderTable(
    shown,
    rows.map(({ numBlocks, checkpointing, parts, batchSize, accumulate, peak, flops: all, flopsOfBlock }) => [
      numBlocks === 1 ? "end to end" : String(numBlocks),
      checkpointing ? "yes" : "",
      parts === 1 ? "" : String(parts),
      accumulate === 1 ? String(batchSize) : `${accumulate} × ${batchSize}`,
      { text: bytes(peak), value: peak },
      (all / 1e9).toFixed(1),
      ...(flops === undefined ? [] : [seconds(all), seconds(flopsOfBlock)]),
      ...(budget === undefined ? [] : [peak <= budget ? "yes" : ""]),
    ]),
  );
}

/** A page with the trade-off as a picture: memory by number of blocks, a curve for each way, and the same as a table of all rows. */
function tradeOffPage(rows: readonly TradeOff[], { flops }: PlanCommandOptions): string {
  const ways = new Map<string, TradeOff[]>();
  for (const row of rows) {
    const way = wayOf({ ...row, numBlocks: 1 }).replace(/^end to end( with )?/, "") || "all kept";
    ways.set(way, [...(ways.get(way) ?? []), row]);
  }
  const series = (value: (row: TradeOff) => number) =>
    [...ways].map(([name, own]) => ({ name, points: own.map((row) => [row.numBlocks, value(row)] as const) }));
  const work = flops === undefined ? { label: "TFLOP an update", scale: 1e12 } : { label: "seconds an update", scale: flops };
  return renderReport({
    title: "Memory and time of training",
    sections: [
      {
        heading: "By number of blocks",
        charts: [
          { title: "Peak of a process", xLabel: "blocks", yLabel: "GB", logY: true, series: series(({ peak }) => peak / 1e9) },
          { title: "An update on one machine", xLabel: "blocks", yLabel: work.label, series: series((row) => row.flops / work.scale) },
          {
            title: "With a machine for each block",
            xLabel: "blocks",
            yLabel: work.label,
            series: series((row) => row.flopsOfBlock / work.scale),
          },
        ],
      },
    ],
    footer: "dblocks plan --picture",
  });
}

const columns = ["", "parameters", "gradients", "optimizer", "activations", "peak of the process"].map((title, i) => ({
  title,
  align: i === 0 ? ("left" as const) : ("right" as const),
}));

function row(
  name: string,
  { parameters, gradients, optimizer, activations, peak }: MemoryPlan,
): (string | { text: string; value: number })[] {
  return [name, ...[parameters, gradients, optimizer, activations, peak].map((value) => ({ text: bytes(value), value }))];
}
