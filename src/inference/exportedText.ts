import { blockOfSigma, entryLevel, planReverse, samplerOf, samplingLevels } from "../diffusion/index.ts";
import { UsageError } from "../errors.ts";
import { fold, integer, type Key, uniformAt } from "../random.ts";
import { add, mul, reshape, slice, type Tensor } from "../tensor/index.ts";
import {
  type ExportedNetwork,
  type ExportSampling,
  float32,
  int32,
  type LanguageModel,
  type ProgramInputs,
  predictionProgram,
} from "../train/index.ts";
import { fixedLevel, tracedEstimate, tracePlan } from "./exported.ts";
import type { TokenSampling } from "./generate.ts";
import { placeNoise } from "./noisyEmbeddings.ts";
import { nextTokenHeads, type TokenDenoiser } from "./tokenDenoiser.ts";

export interface ExportedText {
  readonly model: TokenDenoiser;
  readonly sampling: TokenSampling;
  readonly generate: LanguageModel["generate"];
  /** The name of the noise that a block predicts from: see `generate`. */
  readonly entryNoise: (block: number) => string;
  /** Whether a place sees the noisy embeddings of the places before it, so that its reverse process needs them at every level. */
  readonly seesNoise?: boolean;
}

/**
 * A language model in blocks for other software. The whole: tokens int32 [batch, length] and standard normal noise -> logits [batch,
 * length, vocabSize], at each place of the token that stands there, from the tokens before it.
 *
 * @throws {UsageError} of a recurrent network that answers at the end of a reverse process: it reads each token anew at every
 *   level, so the answers of all places are no one pass.
 */
export async function exportedText(
  { model, sampling: own, generate, entryNoise, seesNoise = false }: ExportedText,
  { numSteps = own.numSteps }: ExportSampling = {},
): Promise<ExportedNetwork> {
  const { vocabSize, length, width, groupSize, partition, blocks, answering, table } = model;
  const sampling = { ...own, numSteps };
  const scaling = partition.noise;
  const isWalk = own.readout === "last" || groupSize > 1;
  if (isWalk && seesNoise) {
    const message =
      "export: this network reads each token anew at every noise level; its answer is no one program. Export a run with --readout evidence.";
    throw new UsageError("noWholeProgram", {}, message);
  }
  const levels = isWalk ? samplingLevels(sampling, partition) : answering.map((b) => entryLevel(partition.ranges[b]!, b));
  const sampler = samplerOf(own.sampler);
  const plan = isWalk ? await planReverse({ sampler, levels, startScale: Math.sqrt(1 + levels[0]! ** 2) }) : undefined;
  const evaluations = plan?.values.filter(({ kind }) => kind === "estimate").length ?? 0;
  const isDrawn = isWalk && own.estimate === "sampled" && evaluations > 0;
  const heads = nextTokenHeads(model);
  const isHead = !isWalk && own.readout === "next-token";
  const noises = isWalk ? 1 : answering.length;
  const inputs: ProgramInputs<string> = (batchSize) => ({
    tokens: int32(batchSize, length),
    ...(!isHead && { noise: float32(batchSize, noises, length, width) }),
    ...(isDrawn && { draws: float32(batchSize, evaluations, length) }),
  });
  const whole = predictionProgram<string, "logits">("network", inputs, (given, batchSize) => {
    const tokens = given.tokens!;
    const part = (x: Tensor, n: number, ...shape: readonly number[]): Tensor =>
      reshape(slice(x, 1, n, n + 1), [batchSize, length, ...shape]);
    const scoresOf = (b: number, z: Tensor, sigma: number) =>
      blocks[b]!.estimate.trace({ tokens, z, ...fixedLevel(sigma, scaling, batchSize) }, batchSize);
    const meanOf = (all: readonly Tensor[]): Tensor => mul(all.reduce(add), 1 / all.length);
    if (isHead) return { logits: meanOf(heads.map((b) => blocks[b]!.nextToken!.trace({ tokens }, batchSize).logits)) };
    if (plan === undefined)
      return {
        logits: meanOf(answering.map((b, n) => scoresOf(b, mul(part(given.noise!, n, width), levels[n]!), levels[n]!).evidence)),
      };
    const embeddings = table.trace({}, batchSize).table;
    const logitsAt = (z: Tensor, sigma: number): Tensor => scoresOf(blockOfSigma(partition, sigma), z, sigma).logits;
    const end = tracePlan(plan, part(given.noise!, 0, width), (z, sigma, n) =>
      tracedEstimate(own.estimate, logitsAt(z, sigma), embeddings, isDrawn ? part(given.draws!, n, 1) : undefined),
    );
    return { logits: logitsAt(end, levels.at(-1)!) };
  });
  return {
    blocks: model.estimates,
    scaling,
    whole,
    about: { levels, readout: own.readout, ...(isWalk && { sampler: sampler.name, estimate: own.estimate }), vocabSize, groupSize },
    example: async (call, batchSize, key) => {
      const keys = Array.from({ length: batchSize }, (_, i) => fold(key, i));
      const tokens = Int32Array.from({ length: batchSize * length }, (_, i) => integer(fold(fold(key, "tokens"), i), vocabSize));
      const names = isWalk ? ["start"] : answering.map(entryNoise);
      const noise = new Float32Array(batchSize * noises * length * width);
      for (const [n, name] of names.entries()) {
        const rows = placeNoise(keys, name, { position: 0, count: length, batchSize, width });
        for (let i = 0; i < batchSize; i++)
          noise.set(rows.subarray(i * length * width, (i + 1) * length * width), (i * noises + n) * length * width);
      }
      const draws = Float32Array.from({ length: batchSize * evaluations * length }, (_, at) => {
        const [place, evaluation] = [at % length, Math.floor(at / length) % evaluations];
        return uniformAt(fold(fold(keys[Math.floor(at / (length * evaluations))]!, place), evaluation), 0);
      });
      const logits = await readLogits({ generation: generate(call, batchSize, keys), tokens, keys, length, vocabSize });
      return { count: batchSize, inputs: { tokens, ...(!isHead && { noise }), ...(isDrawn && { draws }) }, outputs: { logits } };
    },
  };
}

interface Reading {
  readonly generation: ReturnType<LanguageModel["generate"]>;
  readonly tokens: Int32Array;
  readonly keys: readonly Key[];
  readonly length: number;
  readonly vocabSize: number;
}

/** Logits of each place [batch, length, vocabSize], as generation makes them: token by token, with keys and values kept. */
export async function readLogits({ generation, tokens, keys, length, vocabSize }: Reading): Promise<Float32Array> {
  const { groupSize } = generation;
  const logits = new Float32Array(keys.length * length * vocabSize);
  for (let place = 0; place < length; place += groupSize) {
    const before = Int32Array.from({ length: keys.length * groupSize }, (_, i) => {
      const [row, at] = [Math.floor(i / groupSize), place - groupSize + (i % groupSize)];
      return at < 0 ? vocabSize : tokens[row * length + at]!;
    });
    const own = await generation.next(before);
    const size = groupSize * vocabSize;
    for (let row = 0; row < keys.length; row++) logits.set(own.subarray(row * size, (row + 1) * size), (row * length + place) * vocabSize);
  }
  return logits;
}
