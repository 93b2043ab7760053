import { Command, Option } from "commander";
import { edmNoise, logNormalNoise, partition } from "../../diffusion/index.ts";
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
    .option("--json", "print the result as JSON")
    .action(({ blocks, pMean, pStd, sigmaMin, sigmaMax, overlap, strategy, json }) => {
      const result = partition({ numBlocks: blocks, strategy, overlap, noise: logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax }) });
      const { boundaries, ranges, trainingRanges } = result;
      if (json) return printJson({ boundaries, ranges, rangesWithOverlap: trainingRanges });
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
    });
}
