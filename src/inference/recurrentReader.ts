import { levelsAt, type Scaling } from "../diffusion/index.ts";
import type { Call, PredictionProgram } from "../train/index.ts";
import type { LevelName } from "./answers.ts";
import { type CachedProgram, KeyValueCache } from "./keyValueCache.ts";
import { noisyEmbeddings } from "./noisyEmbeddings.ts";
import type { GroupEstimate, TextReader } from "./textReader.ts";

/** Inputs of a program that reads the token `before`, int32 [batch, 1], and estimates the next one from z [batch, 1, width]. */
export type RecurrentReadingInput = "before" | "z" | LevelName;

export type RecurrentReadingProgram = CachedProgram<RecurrentReadingInput, "evidence" | "logits">;

export interface RecurrentReading {
  readonly program: RecurrentReadingProgram;
  /** The embeddings, [vocabSize, width]. */
  readonly table: PredictionProgram<never, "table">;
  /** Noise levels at which estimates are made; keys and values are kept for each. */
  readonly levels: readonly number[];
  /** Whether tokens that were chosen are read again at every level. If not, their positions keep the z that they were estimated from. */
  readonly rereads: boolean;
  /** Standard normal numbers of a position, [batch, width]. */
  noiseAt(position: number): Float32Array;
  readonly scaling: Scaling;
  readonly call: Call;
  readonly batchSize: number;
}

/**
 * Reads texts token by token where a position sees the noisy embeddings before its own. As in training, these are y +
 * σε of the tokens that were chosen: when the next token is read, the one before is read again at each level.
 */
export class RecurrentReader implements TextReader {
  position = 0;
  private readonly reading: RecurrentReading;
  private readonly caches: ReadonlyMap<number, KeyValueCache<RecurrentReadingInput, "evidence" | "logits">>;
  private before: Int32Array = new Int32Array();

  constructor(reading: RecurrentReading) {
    this.reading = reading;
    this.caches = new Map(reading.levels.map((sigma) => [sigma, new KeyValueCache(reading.program, reading.batchSize)]));
  }

  async read(before: Int32Array): Promise<void> {
    if (this.position > 0 && this.reading.rereads) await this.reread(before);
    this.before = before;
  }

  async estimate(_block: number, z: Float32Array, sigma: number): Promise<GroupEstimate> {
    const results = await this.run(z, sigma, this.position);
    if (!this.reading.rereads) this.caches.get(sigma)!.keep(results, this.position);
    return results;
  }

  async advance(): Promise<void> {
    this.position++;
  }

  /** Reads the last position again at each level, now that its token is known. */
  private async reread(chosen: Int32Array): Promise<void> {
    const { call, table: targets, noiseAt, levels } = this.reading;
    const last = this.position - 1;
    const { table } = await call(targets, {});
    const noise = noiseAt(last);
    for (const sigma of levels) {
      const z = noisyEmbeddings(chosen, table, noise, sigma);
      this.caches.get(sigma)!.keep(await this.run(z, sigma, last), last);
    }
  }

  private async run(z: Float32Array, sigma: number, position: number) {
    const { call, scaling, batchSize } = this.reading;
    return await this.caches.get(sigma)!.run(call, { before: this.before, z, ...levelsAt(sigma, scaling, batchSize) }, position);
  }
}
