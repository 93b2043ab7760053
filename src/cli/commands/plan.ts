import { Argument, Command } from "commander";
import { UsageError } from "../../errors.ts";
import { renderTable } from "../../report/index.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";
import { bytes, print, printJson } from "../output.ts";

export function planCommand(): Command {
  const command = new Command("plan")
    .description("predict the memory of training, end to end and in blocks, without running anything")
    .addArgument(new Argument("<model>", "architecture").choices(["vit"]))
    .option("--budget <size>", "find the smallest number of blocks that fits, e.g. 500MB, 2GB", budgetBytes)
    .option("--image <pixels>", "side of the images", positiveNumber, 32)
    .option("--channels <n>", "channels of the images", positiveNumber, 3)
    .option("--classes <n>", "classes", positiveNumber, 10)
    .option("--json", "print the result as JSON, in bytes");
  return withRunOptions(command).action(plan);
}

/** "2GB" -> 2e9; MB, GB, MiB, GiB or plain bytes. */
function budgetBytes(text: string): number {
  const [, amount, unit] = /^([\d.]+)\s*([KMG]i?B|B)?$/i.exec(text) ?? [];
  const factors: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };
  const value = Number(amount) * (factors[(unit ?? "B").toUpperCase()] ?? Number.NaN);
  if (!(value > 0)) throw new UsageError("budget", { text }, `--budget ${text}: expected is a size such as 500MB or 2GB.`);
  return value;
}

async function plan(model: string, options: Record<string, unknown>): Promise<void> {
  const config = await runConfigOf(options, { model, method: "blocks" });
  const [{ fitBudget, planReport }, { buildArchitecture, buildMethod, buildOptimizer }] = await Promise.all([
    import("../../measure/index.ts"),
    import("../../experiments/index.ts"),
  ]);
  const side = options.image as number;
  const data = { numClasses: options.classes as number, train: { channels: options.channels as number, height: side, width: side } };
  const settings = { batchSize: config.training.batchSize, optimizer: buildOptimizer(config), ema: config.training.emaDecay !== undefined };
  const report = planReport(buildArchitecture(config, data), buildMethod(config, data), settings);
  const budget = options.budget as number | undefined;
  const { layersPerBlock: _, ...blocks } = config.blocks;
  const fit =
    budget &&
    fitBudget(
      config.network.numLayers,
      budget,
      (numBlocks) => buildMethod({ ...config, blocks: { ...blocks, numBlocks } }, data),
      settings,
    );
  if (options.json) return printJson({ ...report, ...(fit && { fit: { budget, ...fit } }) });
  const row = (
    name: string,
    { parameters, gradients, optimizer, activations, peak }: (typeof report)["endToEnd"],
  ): (string | { text: string; value: number })[] => [
    name,
    ...[parameters, gradients, optimizer, activations, peak].map((value) => ({ text: bytes(value), value })),
  ];
  const columns = ["", "parameters", "gradients", "optimizer", "activations", "peak of the process"].map((title, i) => ({
    title,
    align: i === 0 ? ("left" as const) : ("right" as const),
  }));
  print(
    renderTable(columns, [
      row("end-to-end", report.endToEnd),
      row("end-to-end, checkpointing", report.endToEndCheckpointing),
      ...report.blocks.perBlock.map((one) => row(one.unit, one)),
      ...report.blocksCheckpointing.perBlock.map((one) => row(`${one.unit}, checkpointing`, one)),
    ]),
  );
  if (fit)
    print(
      `fits ${bytes(budget!)}: ${fit.numBlocks} ${fit.numBlocks === 1 ? "block" : "blocks"}${fit.checkpointing ? " with --checkpointing" : ""}, peak ${bytes(fit.peak)}`,
    );
}
