/** Logits of a group of tokens, each [batch, groupSize, vocabSize]. */
export interface GroupEstimate {
  /** From the tokens before alone. */
  readonly evidence: Float32Array;
  /** Together with what the noisy embeddings tell. */
  readonly logits: Float32Array;
  /** Of the next-token head; undefined where none was trained. */
  readonly nextToken?: Float32Array;
}

/** Texts that are read group by group, each group before the next one is estimated. Keys and values of what was read are kept. */
export interface TextReader {
  /** Of the first token that is not read. */
  readonly position: number;
  /** Reads the group before the next one, int32 [batch, groupSize]; at first the start, in its last place. */
  read(before: Int32Array): Promise<void>;
  /** A block's estimate of the next group from noisy embeddings z [batch, groupSize, width]. */
  estimate(block: number, z: Float32Array, sigma: number): Promise<GroupEstimate>;
  /** Goes on to the next group. */
  advance(): Promise<void>;
}
