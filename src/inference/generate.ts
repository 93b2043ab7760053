import {
  blockOfSigma,
  denoisedEstimate,
  type EstimateKind,
  entryLevel,
  type GaussianSampler,
  reverse,
  type SamplerName,
  type SigmaGrid,
  samplerOf,
  samplingLevels,
  startState,
} from "../diffusion/index.ts";
import { fold, type Key } from "../random.ts";
import type { Call, Generation } from "../train/index.ts";
import { noisyEmbeddings, placeNoise } from "./noisyEmbeddings.ts";
import type { TextReader } from "./textReader.ts";
import { nextTokenHeads, type TokenDenoiser } from "./tokenDenoiser.ts";

/** Options of predicting the next token by denoising. */
export interface TokenSampling {
  /** Levels of the reverse process; as many as blocks by default. */
  readonly numSteps?: number | undefined;
  readonly grid: SigmaGrid;
  readonly sampler: SamplerName | GaussianSampler;
  /** The way from logits to the denoised estimate of a step. */
  readonly estimate: EstimateKind;
  /**
   * `evidence`: the mean prediction of the blocks, each from pure noise at the noisy end of its range. `last`: the
   * logits at the end of the reverse process. `next-token`: the mean of the next-token heads.
   */
  readonly readout: "evidence" | "last" | "next-token";
}

export interface GenerationOptions {
  readonly model: TokenDenoiser;
  readonly sampling: TokenSampling;
  readonly reader: TextReader;
  readonly call: Call;
  readonly batchSize: number;
  /** Of each text, what its noise derives from. */
  readonly keys: readonly Key[];
  /** Names the noise that a block predicts from with the readout `evidence`. */
  readonly entryNoise: (block: number) => string;
}

/**
 * Generates texts token by token, or group by group. Tokens that are decided together must agree, so groups of
 * several always take the reverse process, as in the paper: from pure noise down the levels, each asked of the block
 * that owns it. Its last logits are nearly certain; texts differ by their noise. Known tokens of a group stand there
 * with noise of each level.
 */
export function generate({ model, sampling, reader, call, batchSize, keys, entryNoise }: GenerationOptions): Generation {
  const { vocabSize, width, groupSize, partition, answering } = model;
  const { readout } = sampling;
  const noise = (name: string): Float32Array => placeNoise(keys, name, { position: reader.position, count: groupSize, batchSize, width });

  async function prediction(block: number): Promise<Float32Array> {
    const sigma = entryLevel(partition.ranges[block]!, block);
    const z = noise(entryNoise(block)).map((x) => x * sigma);
    const { evidence, nextToken } = await reader.estimate(block, z, sigma);
    return readout === "next-token" ? nextToken! : evidence;
  }

  async function meanPrediction(): Promise<Float32Array> {
    const blocks = readout === "next-token" ? nextTokenHeads(model) : answering;
    const mean = new Float32Array(batchSize * groupSize * vocabSize);
    for (const block of blocks) for (const [i, logit] of (await prediction(block)).entries()) mean[i]! += logit / blocks.length;
    return mean;
  }

  async function lastPrediction(known: Int32Array | undefined): Promise<Float32Array> {
    const { table } = await call(model.table, {});
    const levels = samplingLevels(sampling, partition);
    const start = noise("start");
    const places = Array.from({ length: groupSize }, (_, k) => reader.position + k);
    const constrain = (z: Float32Array, sigma: number): Float32Array =>
      known === undefined ? z : withKnown(z, known, table, start, sigma);
    const logitsAt = async (z: Float32Array, sigma: number): Promise<Float32Array> =>
      (await reader.estimate(blockOfSigma(partition, sigma), z, sigma)).logits;
    const end = await reverse(startState(start, levels[0]!), {
      sampler: samplerOf(sampling.sampler),
      levels,
      constrain,
      estimate: async (z, sigma, evaluation) => {
        const drawKeys = keys.flatMap((own) => places.map((place) => fold(fold(own, place), evaluation)));
        return denoisedEstimate(sampling.estimate, await logitsAt(z, sigma), table, vocabSize, drawKeys);
      },
    });
    const last = levels.at(-1)!;
    return await logitsAt(constrain(end, last), last);
  }

  return {
    groupSize,
    next: async (before, known) => {
      await reader.read(before);
      const logits = await (readout === "last" || groupSize > 1 ? lastPrediction(known) : meanPrediction());
      await reader.advance();
      return logits;
    },
  };
}

/** The state with y + σε in the place of tokens that are known; -1 stands for the others. The noise is rounded before it is added. */
function withKnown(z: Float32Array, known: Int32Array, table: Float32Array, noise: Float32Array, sigma: number): Float32Array {
  const width = z.length / known.length;
  const isKnown = (i: number): boolean => known[Math.floor(i / width)]! >= 0;
  const noisy = noisyEmbeddings(
    known.map((token) => Math.max(0, token)),
    table,
    noise.map((x) => x * sigma),
    1,
  );
  return z.map((x, i) => (isKnown(i) ? noisy[i]! : x));
}
