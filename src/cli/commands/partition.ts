import { Command, Option } from "commander";
import {
  edmNoise,
  equalLoss,
  type LevelLoss,
  logNormalNoise,
  type Partition,
  partition,
  partitionFromBoundaries,
} from "../../diffusion/index.ts";
import { renderTable } from "../../report/index.ts";
import { number, positiveNumber } from "../options.ts";
import { print, printJson } from "../output.ts";

export function partitionCommand(): Command {
  return new Command("partition")
    .description("print the noise ranges of the blocks, block 0 (first layers, highest noise) first")
    .requiredOption("--blocks <n>", "number of blocks", positiveNumber)
    .option("--p-mean <x>", "mean of ln sigma in training", number, edmNoise.pMean)
    .option("--p-std <x>", "standard deviation of ln sigma in training", number, edmNoise.pStd)
    .option("--sigma-min <x>", "smallest noise level", number, edmNoise.sigmaMin)
    .option("--sigma-max <x>", "largest noise level", number, edmNoise.sigmaMax)
    .option("--overlap <gamma>", "widening of the training ranges, as a share of their width in ln sigma", number, 0.05)
    .addOption(
      new Option("--strategy <name>", "how the range is cut")
        .choices(["equi-probability", "uniform", "uniform-log"])
        .default("equi-probability"),
    )
    .option(
      "--measured <run>",
      "cut so that each block meets as much loss, as it is measured of this run of blocks, with its training noise",
    )
    .option("--json", "print the result as JSON")
    .action(async ({ blocks, pMean, pStd, sigmaMin, sigmaMax, overlap, strategy, measured, json }) => {
      const cut = { numBlocks: blocks, overlap };
      const { result, losses } =
        measured === undefined
          ? { result: partition({ ...cut, strategy, noise: logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax }) }), losses: undefined }
          : await measuredPartition(measured, cut);
      const { boundaries, ranges, trainingRanges } = result;
      if (json) return printJson({ boundaries, ranges, rangesWithOverlap: trainingRanges, losses });
      for (const { sigma, loss } of losses ?? []) print(`loss ${loss.toFixed(3)} at sigma ${sigma.toPrecision(4)}`);
      const show = (x: number): string => x.toPrecision(6).replace(/\.?0+$/, "");
      const rows = ranges.map(([low, high], b) => [
        `block ${b}`,
        show(high),
        show(low),
        show(trainingRanges[b]![1]),
        show(trainingRanges[b]![0]),
      ]);
      print(
        renderTable(
          ["block", "sigma from", "to", "training from", "to"].map((title, i) => ({ title, align: i === 0 ? "left" : "right" })),
          rows,
        ),
      );
      if (losses !== undefined) print(`\nTo train with it: --boundaries ${boundaries.map((sigma) => +sigma.toPrecision(6)).join(",")}`);
    });
}

async function measuredPartition(
  run: string,
  { numBlocks, overlap }: { readonly numBlocks: number; readonly overlap: number },
): Promise<{ readonly result: Partition; readonly losses: readonly LevelLoss[] }> {
  const { lossByNoise } = await import("../../experiments/index.ts");
  const { noise, losses } = await lossByNoise(run);
  return { result: partitionFromBoundaries({ boundaries: equalLoss(numBlocks, noise, losses), noise, overlap }), losses };
}
