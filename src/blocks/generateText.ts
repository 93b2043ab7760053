import { blockOfSigma, eulerStep } from "../diffusion/index.ts";
import { fold, type Key, normal } from "../random.ts";
import { type CallProgram, type Generation, KeyValueCache } from "../train/index.ts";
import { bridgeEach } from "./bridge.ts";
import type { LanguageBlocks } from "./languageBlocks.ts";
import { levelFeeds } from "./levels.ts";
import { entryLevel, samplingGrid } from "./predict.ts";

export interface TextGeneration {
  readonly model: LanguageBlocks;
  /** First layer and end of each block. */
  readonly ranges: readonly (readonly [first: number, end: number])[];
  readonly call: CallProgram;
  readonly batchSize: number;
  /** Of each text, what its noises derive from. */
  readonly keys: readonly Key[];
}

/** The blocks that answer from pure noise: all of them, or the last where each reads with the layers of those before. */
export function answeringBlocks({ partition, reading }: Pick<LanguageBlocks, "partition" | "reading">): readonly number[] {
  const all = [...partition.ranges.keys()];
  return reading === "stacked" ? all.slice(-1) : all;
}

/** Of those, the ones whose readings speak. */
export function speakingBlocks(model: Pick<LanguageBlocks, "partition" | "reading" | "speaking">): readonly number[] {
  return answeringBlocks(model).filter((b) => model.speaking.includes(b));
}

/**
 * Generation token by token, or group by group. With the readout `evidence` the next token's scores are what the blocks say of it from pure noise at the noisy ends of their ranges, averaged: a distribution to draw from; with `reading`, what
 * their readings say. With `last`, and always where several tokens are decided together and must agree, noise walks down the noise levels through the blocks as in the paper, and the scores are those of the last evaluation; they are nearly certain,
 * and what differs from text to text comes from the noise. Tokens of the group that are known stand there with noise of each level.
 * Keys and values of the tokens before are kept for each block: a token costs as many evaluations of one place as there are levels.
 */
export function generateText({ model, ranges, call, batchSize, keys }: TextGeneration): Generation {
  const { architecture, partition, sampling, groupSize } = model;
  const { vocabSize, width } = architecture;
  const caches = ranges.map(([first, end]) => new KeyValueCache(architecture, batchSize, numbersFrom(first, end)));
  const walks = sampling.readout === "last" || groupSize > 1;
  const answering = sampling.readout === "next-token" ? speakingBlocks(model) : answeringBlocks(model);
  const places = batchSize * groupSize;
  /** Where the next tokens stand. */
  let position = 0;

  /** The places of one group: the tokens before it, read once by each block, and estimates of its own. */
  class Group {
    private readonly before: Int32Array;
    private readonly states: Float32Array[] = [];

    constructor(before: Int32Array) {
      this.before = before;
    }

    /** Blocks before this one read the tokens first. */
    async ask(block: number, z: Float32Array, sigma: number): Promise<Readonly<Record<string, Float32Array>>> {
      if (block > 0 && this.states[block - 1] === undefined) await this.ask(block - 1, z, entryOf(block - 1));
      const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData);
      const feeds = {
        before: this.before,
        estimated: Int32Array.from({ length: groupSize }, (_, i) => position + i),
        z,
        ...levels,
        ...(block > 0 && { below: this.states[block - 1]! }),
        ...caches[block]!.feeds(position, groupSize),
      };
      const results = (await call(`block-${block} next`, feeds)) as Record<string, Float32Array>;
      if (this.states[block] === undefined) caches[block]!.store(results, position, groupSize);
      this.states[block] = results.state!;
      return results;
    }

    /** A grid may pass over the last blocks, which read the tokens all the same. */
    async finish(z: Float32Array): Promise<void> {
      const last = partition.ranges.length - 1;
      if (this.states[last] === undefined) await this.ask(last, z, entryOf(last));
    }
  }

  const entryOf = (block: number): number => entryLevel(partition.ranges[block]!, block);

  const noiseOf = (name: string, deviation: number): Float32Array => {
    const out = new Float32Array(places * width);
    for (const [i, own] of keys.entries())
      for (let k = 0; k < groupSize; k++) {
        const place = i * groupSize + k;
        normal(fold(fold(own, position + k), name), out.subarray(place * width, (place + 1) * width));
      }
    return out.map((x) => x * deviation);
  };

  async function opinions(group: Group): Promise<Float32Array> {
    const sum = new Float32Array(places * vocabSize);
    for (const block of answering) {
      const { said, evidence } = await group.ask(block, noiseOf(`entry ${block}`, entryOf(block)), entryOf(block));
      for (const [i, score] of (sampling.readout === "next-token" ? said! : evidence!).entries()) sum[i]! += score / answering.length;
    }
    return sum;
  }

  async function walk(group: Group, known: Int32Array | undefined): Promise<Float32Array> {
    const grid = samplingGrid(sampling, partition);
    const table = (await call("targets", {})).table as Float32Array;
    let z: Float32Array = noiseOf("start", Math.sqrt(1 + grid[0]! ** 2));
    let scores: Float32Array = z;
    for (const [i, sigma] of grid.entries()) {
      if (known !== undefined) setKnown(z, known, table, noiseOf("start", sigma));
      scores = (await group.ask(blockOfSigma(partition, sigma), z, sigma)).logits!;
      const sigmaNext = grid[i + 1];
      if (sigmaNext === undefined) break;
      const drawKeys = keys.flatMap((own) => numbersFrom(position, position + groupSize).map((place) => fold(fold(own, place), i)));
      z = eulerStep({ z, denoised: bridgeEach(sampling.bridge, scores, table, vocabSize, drawKeys), sigma, sigmaNext });
    }
    await group.finish(z);
    return scores;
  }

  return {
    groupSize,
    next: async (before, known) => {
      const group = new Group(before);
      const scores = await (walks ? walk(group, known) : opinions(group));
      position += groupSize;
      return scores;
    },
  };
}

/** y + noise in the place of z where a token is known. */
function setKnown(z: Float32Array, known: Int32Array, table: Float32Array, noise: Float32Array): void {
  const width = z.length / known.length;
  for (const [place, token] of known.entries())
    if (token >= 0) for (let i = place * width; i < (place + 1) * width; i++) z[i] = table[token * width + (i % width)]! + noise[i]!;
}

function numbersFrom(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}
