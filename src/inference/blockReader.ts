import { entryLevel, levelsAt, type Partition } from "../diffusion/index.ts";
import type { Call } from "../train/index.ts";
import type { LevelName } from "./answers.ts";
import { type CachedProgram, KeyValueCache } from "./keyValueCache.ts";
import type { GroupEstimate, TextReader } from "./textReader.ts";

/**
 * Inputs of a program that reads the group `before`, int32 [batch, groupSize], and estimates the next one at the
 * positions `estimated`, int32 [1, groupSize], from z [batch, groupSize, width]. Where blocks are stacked, its
 * context stream starts from the state `below`, [batch, groupSize, width], of the block before.
 */
export type BlockReadingInput = "before" | "estimated" | "z" | "below" | LevelName;

/** Estimates, and the state to which the block brought its context stream. With a next-token head there is an output `nextToken` too. */
export type BlockReadingProgram = CachedProgram<BlockReadingInput, "evidence" | "logits" | "state">;

export interface BlockReading {
  /** Of each block. */
  readonly programs: readonly BlockReadingProgram[];
  readonly partition: Partition;
  readonly groupSize: number;
  readonly width: number;
  readonly call: Call;
  readonly batchSize: number;
}

/**
 * Reads texts by blocks, each with a context stream of its own: a group is read by a block when it is first asked
 * about the next one, after the blocks before.
 */
export class BlockReader implements TextReader {
  position = 0;
  private readonly reading: BlockReading;
  private readonly caches: readonly KeyValueCache<BlockReadingInput, "evidence" | "logits" | "state">[];
  private before: Int32Array = new Int32Array();
  /** Of the blocks that have read the group. */
  private states: Float32Array[] = [];

  constructor(reading: BlockReading) {
    this.reading = reading;
    this.caches = reading.programs.map((program) => new KeyValueCache(program, reading.batchSize));
  }

  async read(before: Int32Array): Promise<void> {
    this.before = before;
    this.states = [];
  }

  async estimate(block: number, z: Float32Array, sigma: number): Promise<GroupEstimate> {
    const { partition, groupSize, batchSize, call } = this.reading;
    if (block > 0) await this.readBy(block - 1);
    const cache = this.caches[block]!;
    const feeds = {
      before: this.before,
      estimated: Int32Array.from({ length: groupSize }, (_, i) => this.position + i),
      z,
      below: this.states[block - 1] ?? new Float32Array(),
      ...levelsAt(sigma, partition.noise, batchSize),
    };
    const results = await cache.run(call, feeds, this.position);
    if (this.states[block] === undefined) cache.keep(results, this.position);
    this.states[block] = results.state;
    return results;
  }

  /** Levels may pass over the last blocks, which read the tokens all the same. */
  async advance(): Promise<void> {
    await this.readBy(this.caches.length - 1);
    this.position += this.reading.groupSize;
  }

  private async readBy(block: number): Promise<void> {
    if (this.states[block] !== undefined) return;
    const { partition, groupSize, batchSize, width } = this.reading;
    await this.estimate(block, new Float32Array(batchSize * groupSize * width), entryLevel(partition.ranges[block]!, block));
  }
}
