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

/**
 * Generation token by token. With the readout `evidence` the next token's scores are what the blocks say of it from pure noise at the noisy ends of their ranges, averaged: a distribution to draw from. With `last`, noise walks down
 * the noise levels through the blocks as in the paper, and the scores are those of the last evaluation; they are nearly certain, and what differs from text to text comes from the noise.
 * Keys and values of the tokens before are kept for each block: a token costs as many evaluations of one place as there are levels.
 */
export function generateText({ model, ranges, call, batchSize, keys }: TextGeneration): Generation {
  const { architecture, partition, sampling } = model;
  const { vocabSize, width } = architecture;
  const caches = ranges.map(([first, end]) => new KeyValueCache(architecture, batchSize, layersFrom(first, end)));
  let position = 0;

  /** One place: the token before it, read once by each block, and estimates of its own. */
  class Place {
    private readonly before: Int32Array;
    private readonly states: Float32Array[] = [];

    constructor(before: Int32Array) {
      this.before = before;
    }

    /** Blocks before this one read the token first. */
    async ask(block: number, z: Float32Array, sigma: number): Promise<Readonly<Record<string, Float32Array>>> {
      if (block > 0 && this.states[block - 1] === undefined) await this.ask(block - 1, z, entryOf(block - 1));
      const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData);
      const feeds = {
        before: this.before,
        z,
        ...levels,
        ...(block > 0 && { below: this.states[block - 1]! }),
        ...caches[block]!.feeds(position),
      };
      const results = (await call(`block-${block} next`, feeds)) as Record<string, Float32Array>;
      if (this.states[block] === undefined) caches[block]!.store(results, position);
      this.states[block] = results.state!;
      return results;
    }

    /** A grid may pass over the last blocks, which read the token all the same. */
    async finish(z: Float32Array): Promise<void> {
      const last = partition.ranges.length - 1;
      if (this.states[last] === undefined) await this.ask(last, z, entryOf(last));
    }
  }

  const entryOf = (block: number): number => entryLevel(partition.ranges[block]!, block);

  const noiseOf = (name: string, deviation: number): Float32Array => {
    const out = new Float32Array(batchSize * width);
    for (const [i, own] of keys.entries()) normal(fold(fold(own, position), name), out.subarray(i * width, (i + 1) * width));
    return out.map((x) => x * deviation);
  };

  async function evidence(place: Place): Promise<Float32Array> {
    const answering = answeringBlocks(model);
    const sum = new Float32Array(batchSize * vocabSize);
    for (const block of answering) {
      const said = (await place.ask(block, noiseOf(`entry ${block}`, entryOf(block)), entryOf(block))).evidence!;
      for (const [i, score] of said.entries()) sum[i]! += score / answering.length;
    }
    return sum;
  }

  async function walk(place: Place): Promise<Float32Array> {
    const grid = samplingGrid(sampling, partition);
    const table = (await call("targets", {})).table as Float32Array;
    let z: Float32Array = noiseOf("start", Math.sqrt(1 + grid[0]! ** 2));
    let scores: Float32Array = z;
    for (const [i, sigma] of grid.entries()) {
      scores = (await place.ask(blockOfSigma(partition, sigma), z, sigma)).logits!;
      const sigmaNext = grid[i + 1];
      if (sigmaNext === undefined) break;
      const drawKeys = keys.map((own) => fold(fold(own, position), i));
      z = eulerStep({ z, denoised: bridgeEach(sampling.bridge, scores, table, vocabSize, drawKeys), sigma, sigmaNext });
    }
    await place.finish(z);
    return scores;
  }

  return {
    next: async (before) => {
      const place = new Place(before);
      const scores = await (sampling.readout === "evidence" ? evidence(place) : walk(place));
      position++;
      return scores;
    },
  };
}

function layersFrom(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}
