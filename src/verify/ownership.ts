import { drawsSigma } from "../blocks/index.ts";
import { blockOfSigma, type Partition } from "../diffusion/index.ts";
import { fold, key } from "../random.ts";
import { hostArray, sizeOf, type Tensor } from "../tensor/index.ts";
import { type PredictionProgram, type TrainingMethod, traceProgram, traceStep } from "../train/index.ts";
import { type Check, checkOf } from "./check.ts";
import { parametersIn, sourcesOf } from "./graph.ts";

/** A method whose blocks own noise levels, with the program by which each answers. */
export interface NoiseBlocks extends TrainingMethod {
  readonly partition: Partition;
  readonly estimates: readonly PredictionProgram[];
}

/** Float32 rounding of a noise level, and the tie rule of `blockOfSigma`. */
const rounding = 2e-6;
const drawsOfEachBlock = 256;

/**
 * The block that learns at a noise level is the one that answers there: at sampling, blockOfSigma(σ) = b for a dense
 * grid with all boundaries, and the program asked for b reads the parameters that the steps of block b train; in
 * training, those steps draw σ within b's own range.
 *
 * @param stored the partition that the run was trained with.
 */
export function checkOwnership(method: NoiseBlocks, stored: Partition): Check {
  const faults: string[] = [];
  if (stored.boundaries.join() !== method.partition.boundaries.join()) {
    faults.push(
      `the run was trained with the boundaries [${stored.boundaries.join(", ")}], sampling uses [${method.partition.boundaries.join(", ")}]`,
    );
  }
  if (stored.ranges.length !== method.units.length)
    faults.push(`the run's partition has ${stored.ranges.length} ranges for ${method.units.length} blocks`);
  const grid = denseGrid(stored);
  for (const sigma of grid) {
    const block = blockOfSigma(method.partition, sigma);
    if (!holds(stored.trainingRanges[block], sigma)) faults.push(`block-${block} answers at sigma ${sigma}, where it was not trained`);
  }
  for (const [b, unit] of method.units.entries())
    faults.push(
      ...faultsOfDraws(method, b, stored),
      ...faultsOfProgram(method, b, new Set([...unit.trainable.values(), ...unit.frozen.values()])),
    );
  return checkOf(
    "each block answers where it was trained",
    faults,
    `${grid.length} noise levels with all boundaries, ${drawsOfEachBlock} draws of each block's training`,
  );
}

/** Noise levels from sigmaMax to sigmaMin, each boundary, and both neighbours of each boundary. */
function denseGrid({ boundaries, noise: { sigmaMin, sigmaMax } }: Partition): number[] {
  const steps = 2000;
  const even = Array.from({ length: steps + 1 }, (_, i) => sigmaMax * (sigmaMin / sigmaMax) ** (i / steps));
  const near = boundaries.flatMap((boundary) => [boundary, Math.fround(boundary), boundary * (1 + 1e-4), boundary * (1 - 1e-4)]);
  return [...even, ...near].filter((sigma) => sigma >= sigmaMin * (1 - rounding) && sigma <= sigmaMax * (1 + rounding));
}

function holds(range: readonly [number, number] | undefined, sigma: number): boolean {
  return range !== undefined && sigma >= range[0] * (1 - rounding) && sigma <= range[1] * (1 + rounding);
}

/** Draws noise levels as the block's training step does. */
function faultsOfDraws(method: NoiseBlocks, b: number, stored: Partition): string[] {
  const { objective } = traceStep(method, method.units[b]!, drawsOfEachBlock);
  const drawn = [...sourcesOf([objective.loss])].filter(drawsSigma);
  if (drawn.length === 0) return [`the step of block-${b} draws no noise levels`];
  const sigmas = drawn.flatMap((tensor) => [...drawOnce(tensor)]);
  const stray = sigmas.filter((sigma) => !holds(stored.trainingRanges[b], sigma));
  const owned = sigmas.filter((sigma) => blockOfSigma(method.partition, sigma) === b);
  return [
    ...stray
      .slice(0, 1)
      .map((sigma) => `the training of block-${b} draws sigma ${sigma}, outside its range [${stored.trainingRanges[b]?.join(", ")}]`),
    // The overlap reaches into the neighbours' ranges, but the larger part of a block's training is its own.
    ...(owned.length < sigmas.length / 2
      ? [`${sigmas.length - owned.length} of ${sigmas.length} draws of block-${b} belong to other blocks at sampling`]
      : []),
  ];
}

function drawOnce({ source, dtype, shape }: Tensor): Float32Array {
  if (source?.kind !== "random") throw new Error("internal: noise levels are drawn");
  const out = hostArray(dtype, sizeOf(shape));
  source.sampler.fill(out, fold(source.key, key("verify").lo));
  return out as Float32Array;
}

function faultsOfProgram(method: NoiseBlocks, b: number, own: ReadonlySet<Tensor>): string[] {
  const foreign = [...parametersIn(Object.values(traceProgram(method.estimates[b]!, 1)))].filter((tensor) => !own.has(tensor));
  return foreign.length === 0 ? [] : [`sampling asks for block-${b} with ${foreign.length} parameters that block-${b} did not train`];
}
