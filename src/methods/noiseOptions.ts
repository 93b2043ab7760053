import { z } from "zod";
import { count, option, positive } from "../define/index.ts";
import {
  type LogNormalNoise,
  logNormalNoise,
  type Partition,
  partition,
  partitionFromBoundaries,
  preconditioningKinds,
  type Scaling,
} from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";

/** The training noise, ln sigma ~ N(pMean, pStd²) in [sigmaMin, sigmaMax], with the defaults of one kind of data. */
export function noiseOptions(noise: LogNormalNoise) {
  return {
    pMean: option(z.number(), { value: "x", description: "mean of ln sigma in training" }).default(noise.pMean),
    pStd: option(positive, { value: "x", description: "standard deviation of ln sigma in training" }).default(noise.pStd),
    sigmaMin: option(positive, { value: "x", description: "smallest noise level, in units of the targets" }).default(noise.sigmaMin),
    sigmaMax: option(positive, { value: "x", description: "largest noise level, in units of the targets" }).default(noise.sigmaMax),
    sigmaData: option(positive, {
      value: "x",
      description: "standard deviation of the targets, for the preconditioning",
      advanced: true,
    }).default(noise.sigmaData),
  };
}

/** Of networks on images. */
export const preconditioningOption = option(z.enum(preconditioningKinds), {
  value: "name",
  description: "scalings of the network: EDM's, or those of networks that find the noise that DDPM added, such as a published DiT",
  byDefault: "edm",
  advanced: true,
}).optional();

/** Options of cutting layers into blocks. */
export function cutOptions({ numBlocks = 3, overlap = 0.05 } = {}) {
  return {
    numBlocks: option(count, { flag: "blocks", description: "number of blocks" }).default(numBlocks),
    layersPerBlock: option(z.array(count).readonly(), {
      value: "list",
      description: "layers of each block, e.g. 3,6,3",
      byDefault: "equal shares",
    }).optional(),
    overlap: option(z.number().min(0).max(1), {
      value: "gamma",
      description: "widening of the training ranges, as a share of their width in ln sigma",
    }).default(overlap),
    shared: option(
      z.string().regex(/^(owned|frozen|together|average:[1-9]\d*)$/, "one of owned, frozen, together, average:STEPS is expected"),
      {
        value: "policy",
        description: "what blocks have in common: owned, frozen, together or average:STEPS",
      },
    ).default("owned"),
  };
}

/** Options of cutting the range of noise levels. */
export const partitionOptions = {
  strategy: option(z.enum(["equi-probability", "uniform", "uniform-log"]), { description: "how the noise range is cut" }).default(
    "equi-probability",
  ),
  boundaries: option(z.array(positive).readonly(), {
    value: "list",
    description: "sigmas to cut at instead, from sigma-max down to sigma-min, e.g. 80,9,3,0.002 (see dblocks partition --measured)",
    byDefault: "by --strategy",
  }).optional(),
};

type NoiseConfig = z.output<z.ZodObject<ReturnType<typeof noiseOptions>>> & Pick<Scaling, "preconditioning">;
type PartitionConfig = NoiseConfig & {
  readonly numBlocks: number;
  readonly overlap: number;
} & z.output<z.ZodObject<typeof partitionOptions>>;

/** @throws {PartitionError} if the constants do not fit together. */
export function noiseOf({ pMean, pStd, sigmaMin, sigmaMax, sigmaData, preconditioning }: NoiseConfig): LogNormalNoise {
  return logNormalNoise({ pMean, pStd, sigmaMin, sigmaMax, sigmaData, ...(preconditioning && { preconditioning }) });
}

/** @throws {PartitionError} or {UsageError} if the options do not fit together. */
export function partitionOf({ numBlocks, strategy, boundaries, overlap, ...rest }: PartitionConfig): Partition {
  const noise = noiseOf(rest);
  if (boundaries === undefined) return partition({ numBlocks, strategy, overlap, noise });
  if (boundaries.length === numBlocks + 1) return partitionFromBoundaries({ boundaries, overlap, noise });
  const message = `--boundaries: ${numBlocks} blocks have ${numBlocks + 1} of them, sigma-max and sigma-min included; given are ${boundaries.length}.`;
  throw new UsageError("boundaryCount", { numBlocks, boundaries }, message);
}

/** All noise levels as one range. */
export function wholeRange(config: NoiseConfig): Partition {
  return partition({ numBlocks: 1, overlap: 0, noise: noiseOf(config) });
}
