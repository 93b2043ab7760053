import {
  ddpmLogSigmas,
  type EstimateKind,
  levelNames,
  levelsAt,
  type PlannedSum,
  type PlannedValue,
  type ReversePlan,
  type Scaling,
} from "../diffusion/index.ts";
import { fold, integer, type Key, normals } from "../random.ts";
import {
  add,
  cast,
  constant,
  cumulativeSum,
  div,
  equal,
  filled,
  greater,
  type HostArray,
  less,
  log,
  matmul,
  maximum,
  minimum,
  mul,
  reduceMax,
  reduceSum,
  sizeOf,
  slice,
  softmax,
  sqrt,
  square,
  sub,
  type Tensor,
  type TensorType,
} from "../tensor/index.ts";
import { type PredictionProgram, predictionProgram } from "../train/index.ts";
import type { LevelName } from "./answers.ts";

/** A noise level of a whole batch as symbols. */
export function fixedLevel(sigma: number, scaling: Scaling, batchSize: number): Record<LevelName, Tensor> {
  const levels = levelsAt(sigma, scaling, 1);
  return Object.fromEntries(levelNames.map((name) => [name, filled(levels[name][0]!, [batchSize, 1])])) as Record<LevelName, Tensor>;
}

/**
 * The program with σ [batch, 1] alone in the place of all the scalings that belong to it: they are computed inside, see
 * `precondition`. Programs that take no noise level are left as they are.
 */
export function bySigma(program: PredictionProgram, scaling: Scaling): PredictionProgram {
  if (!levelNames.every((name) => name in program.inputs(1))) return program;
  const isScaling = (name: string): boolean => name !== "sigma" && (levelNames as readonly string[]).includes(name);
  return predictionProgram<string, string>(
    program.name,
    (batchSize) => Object.fromEntries(Object.entries(program.inputs(batchSize)).filter(([name]) => !isScaling(name))),
    (inputs, batchSize) => program.trace({ ...inputs, ...scalings(inputs.sigma!, scaling) }, batchSize),
  );
}

/** `precondition` as symbols, σ being [batch, 1]. */
function scalings(sigma: Tensor, { sigmaData, preconditioning = "edm" }: Scaling): Readonly<Record<string, Tensor>> {
  if (preconditioning === "ddpm") return ddpmScalings(sigma);
  const variance = add(square(sigma), sigmaData ** 2);
  const deviation = sqrt(variance);
  return {
    cSkip: div(sigmaData ** 2, variance),
    cOut: div(mul(sigma, sigmaData), deviation),
    cIn: div(1, deviation),
    cNoise: mul(log(sigma), 0.25),
    lossWeight: div(variance, square(mul(sigma, sigmaData))),
  };
}

function ddpmScalings(sigma: Tensor): Readonly<Record<string, Tensor>> {
  return {
    cSkip: filled(1, sigma.shape),
    cOut: mul(sigma, -1),
    cIn: div(1, sqrt(add(square(sigma), 1))),
    cNoise: tracedTime(log(sigma)),
    lossWeight: div(1, square(sigma)),
  };
}

/** `ddpmTime` of ln σ [batch, 1]: the sum of the parts of all steps that lie below it. */
function tracedTime(logSigma: Tensor): Tensor {
  const starts = ddpmLogSigmas.slice(0, -1);
  const widths = starts.map((start, i) => ddpmLogSigmas[i + 1]! - start);
  const row = (values: readonly number[]): Tensor => constant(Float32Array.from(values), [1, values.length]);
  const passed = minimum(maximum(sub(logSigma, row(starts)), 0), row(widths)); // [batch, steps]
  return reduceSum(div(passed, row(widths)), 1, true);
}

/** The values of a plan as symbols. */
export function tracePlan(
  { values, end }: ReversePlan,
  noise: Tensor,
  estimate: (z: Tensor, level: number, evaluation: number) => Tensor,
): Tensor {
  const traced: Tensor[] = [];
  const sum = (terms: PlannedSum): Tensor =>
    terms.map(([index, weight]) => (weight === 1 ? traced[index]! : mul(traced[index]!, weight))).reduce((a, b) => add(a, b));
  let evaluation = 0;
  const symbolOf = (value: PlannedValue): Tensor => {
    if (value.kind === "noise") return noise;
    return value.kind === "sum" ? sum(value.terms) : estimate(traced[value.of]!, value.level, evaluation++);
  };
  for (const value of values) traced.push(symbolOf(value));
  return sum(end);
}

/** Random numbers in the shapes of some inputs of a program: float32 normal, int32 below `bound`. */
export function exampleInput({ dtype, shape }: TensorType, own: Key, bound = 1): HostArray {
  const size = sizeOf(shape);
  return dtype === "float32" ? normals(own, size) : Int32Array.from({ length: size }, (_, i) => integer(fold(own, i), bound));
}

/**
 * The denoised estimate of embedded classes as a symbol: see `denoisedEstimate`.
 *
 * @param logits [..., classes]
 * @param table [classes, width]
 * @param u uniform numbers [..., 1], for `sampled`.
 * @returns [..., width]
 */
export function tracedEstimate(kind: EstimateKind, logits: Tensor, table: Tensor, u: Tensor | undefined): Tensor {
  return matmul(kind === "soft" ? softmax(logits) : kind === "hard" ? likeliestOf(logits) : drawnFrom(softmax(logits), u!), table);
}

/** 1 for the likeliest class, 0 for the others. */
export function likeliestOf(logits: Tensor): Tensor {
  const first = cast(equal(logits, reduceMax(logits, -1, true)), "float32");
  return mul(first, cast(less(cumulativeSum(first), 1.5), "float32"));
}

/** 1 for the class whose share of cumulative probability holds u [..., 1], 0 for the others. */
export function drawnFrom(probabilities: Tensor, u: Tensor): Tensor {
  const reached = cumulativeSum(probabilities);
  const last = slice(reached, -1, probabilities.shape.at(-1)! - 1, probabilities.shape.at(-1)!);
  const beyond = cast(greater(reached, minimum(u, mul(last, 1 - 1e-6))), "float32");
  return mul(beyond, cast(less(cumulativeSum(beyond), 1.5), "float32"));
}

/** Places of a one-hot row [..., classes] as int32 [...]. */
export function placeOf(oneHot: Tensor): Tensor {
  const places = constant(
    Float32Array.from({ length: oneHot.shape.at(-1)! }, (_, i) => i),
    [oneHot.shape.at(-1)!],
  );
  return cast(reduceSum(mul(oneHot, places), -1), "int32");
}
