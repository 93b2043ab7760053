import { Command, Option } from "commander";
import {
  buildMethod,
  defaultMethod,
  edmNoise,
  equalLoss,
  isNoisePartition,
  type LevelLoss,
  logNormalNoise,
  type Partition,
  parseRunConfig,
  partition,
  partitionFromBoundaries,
  registry,
  UsageError,
} from "../../index.ts";
import { lossByNoise, openTrainedRun, renderTable } from "../../node.ts";
import { print, printJson, say } from "../output.ts";
import { number, positiveNumber } from "../words.ts";

interface PartitionCommandOptions {
  readonly for?: string;
  readonly blocks: number;
  readonly layers?: number;
  readonly overlap?: number;
  readonly strategy?: string;
  readonly pMean?: number;
  readonly pStd?: number;
  readonly sigmaMin?: number;
  readonly sigmaMax?: number;
  readonly measured?: string;
  readonly json?: boolean;
}

export function partitionCommand(): Command {
  return new Command("partition")
    .description("print the noise ranges of the blocks, block 0 (first layers, highest noise) first")
    .addOption(
      new Option("--for <model>", "as training this model in blocks would cut (default: EDM's noise)").choices(
        registry.models.map(({ name }) => name),
      ),
    )
    .requiredOption("--blocks <n>", "number of blocks", positiveNumber)
    .option("--p-mean <x>", `mean of ln sigma in training (default: the model's, or ${edmNoise.pMean})`, number)
    .option("--p-std <x>", `standard deviation of ln sigma in training (default: the model's, or ${edmNoise.pStd})`, number)
    .option("--sigma-min <x>", `smallest noise level (default: the model's, or ${edmNoise.sigmaMin})`, number)
    .option("--sigma-max <x>", `largest noise level (default: the model's, or ${edmNoise.sigmaMax})`, number)
    .option(
      "--overlap <gamma>",
      "widening of the training ranges, as a share of their width in ln sigma (default: the model's, or 0.05)",
      number,
    )
    .addOption(new Option("--strategy <name>", "how the range is cut").choices(["equi-probability", "uniform", "uniform-log"]))
    .option(
      "--measured <run>",
      "cut so that each block meets as much loss, as it is measured of this run of blocks, with its training noise",
    )
    .option("--json", "print the result as JSON")
    .action(printPartition);
}

async function printPartition(options: PartitionCommandOptions): Promise<void> {
  const { result, losses } = await partitionAsked(options);
  const { ranges, trainingRanges } = result;
  const isNoise = isNoisePartition(result);
  if (options.json) {
    return printJson({ ...(isNoise && { boundaries: result.boundaries }), ranges, rangesWithOverlap: trainingRanges, losses });
  }
  if (options.for === undefined && options.measured === undefined)
    say("EDM's noise; --for MODEL prints the cuts that training that model would make.");
  for (const { sigma, loss } of losses ?? []) print(`loss ${loss.toFixed(3)} at sigma ${sigma.toPrecision(4)}`);
  const show = (x: number): string => x.toPrecision(6).replace(/\.?0+$/, "");
  const rows = ranges.map(([low, high], b) => [
    `block ${b}`,
    show(high),
    show(low),
    show(trainingRanges[b]![1]),
    show(trainingRanges[b]![0]),
  ]);
  const titles = ["block", isNoise ? "sigma from" : "time from", "to", "training from", "to"];
  print(
    renderTable(
      titles.map((title, i) => ({ title, align: i === 0 ? "left" : "right" })),
      rows,
    ),
  );
  if (losses !== undefined && isNoise)
    print(`\nTo train with it: --boundaries ${result.boundaries.map((sigma) => +sigma.toPrecision(6)).join(",")}`);
}

type Ranges = Pick<Partition, "ranges" | "trainingRanges">;

async function partitionAsked(
  options: PartitionCommandOptions,
): Promise<{ readonly result: Ranges; readonly losses?: readonly LevelLoss[] }> {
  const { blocks: numBlocks, overlap = 0.05, measured } = options;
  if (measured !== undefined) {
    const { noise, losses } = await lossByNoise(await openTrainedRun(registry, measured));
    return { result: partitionFromBoundaries({ boundaries: equalLoss(numBlocks, noise, losses), noise, overlap }), losses };
  }
  if (options.for !== undefined) return { result: ofModel(options.for, options) };
  const { pMean, pStd, sigmaMin, sigmaMax, strategy } = options;
  const given = Object.fromEntries(Object.entries({ pMean, pStd, sigmaMin, sigmaMax }).filter(([, value]) => value !== undefined));
  return {
    result: partition({
      numBlocks,
      overlap,
      noise: logNormalNoise(given),
      ...(strategy !== undefined && { strategy: strategy as "uniform" }),
    }),
  };
}

/** The ranges that a model's blocks have in training, from the method itself: of one layer a block, on data of any size. */
function ofModel(name: string, { blocks: numBlocks, overlap, strategy, pMean, pStd, sigmaMin, sigmaMax }: PartitionCommandOptions): Ranges {
  const model = registry.model(name);
  const given = Object.entries({ numBlocks, overlap, strategy, pMean, pStd, sigmaMin, sigmaMax }).filter(
    ([, value]) => value !== undefined,
  );
  const method = { name: "blocks", ...Object.fromEntries(given) };
  const layers = Object.hasOwn(model.schema.shape, "numLayers") ? { numLayers: numBlocks } : {};
  const config = parseRunConfig(registry, [{ model: { name, ...layers }, method }], "partition");
  const { partition: found } = buildMethod(registry, config, model.task.shapeOf(model.task.commonInfo, config.data) as object);
  if (found !== undefined) return found;
  const message = `--for ${name}: it has no noise ranges; by default it is trained by ${defaultMethod(model)}.`;
  throw new UsageError("noRanges", { model: name }, message);
}
