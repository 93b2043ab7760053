import { Argument, Command } from "commander";
import { UsageError } from "../../errors.ts";
import { models } from "../../experiments/index.ts";
import type { MemoryPlan } from "../../measure/index.ts";
import { renderTable } from "../../report/index.ts";
import { positiveNumber, runConfigOf, withRunOptions } from "../options.ts";
import { bytes, print, printJson } from "../output.ts";

export function planCommand(): Command {
  const command = new Command("plan")
    .description("predict the memory of training without running anything: end to end and in blocks, or of any --method")
    .addArgument(new Argument("<model>", "architecture").choices(models))
    .option("--budget <size>", "find the smallest number of blocks that fits, e.g. 500MB, 2GB", budgetBytes)
    .option("--image <pixels>", "side of the images (default: that of --data, or 32)", positiveNumber)
    .option("--channels <n>", "channels of the images (default: those of --data, or 3)", positiveNumber)
    .option("--classes <n>", "classes (default: those of --data, or 10)", positiveNumber)
    .option("--vocab <n>", "symbols of text (default: 27, those of text8)", positiveNumber)
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
  const config = await runConfigOf(options, { model });
  const [{ fitBudget, planReport, planUnits }, { buildMethod, buildOptimizer, dataShapeOf }] = await Promise.all([
    import("../../measure/index.ts"),
    import("../../experiments/index.ts"),
  ]);
  const data = await dataShapeOf(options);
  const { batchSize, emaDecay, checkpointing } = config.training;
  const settings = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined };
  const method = buildMethod(config, data);
  if (!["vit", "dit", "masked-diffusion", "autoregressive"].includes(config.model) || config.method !== "blocks") {
    if (options.budget !== undefined)
      throw new UsageError(
        "budget",
        { model, method: method.name },
        "--budget chooses the number of blocks of a network in layers: leave --method out.",
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
  const report = planReport(buildMethod({ ...config, method: "end-to-end" }, data), method, settings);
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
