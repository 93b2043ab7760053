import { entryLevel, levelsAt, negativeLogSoftmax } from "../diffusion/index.ts";
import { fold } from "../random.ts";
import type { Likelihood, PredictionProgram } from "../train/index.ts";
import { type DenoisingMeasure, denoisingBound } from "./denoisingBound.ts";
import type { TokenSampling } from "./generate.ts";
import { exactLikelihoods } from "./likelihood.ts";
import { sequenceNoise } from "./noisyEmbeddings.ts";
import { type NoisyTextInput, nextTokenHeads, type TokenDenoiser, type TokenDenoiserBlock } from "./tokenDenoiser.ts";

type Likelihoods = Readonly<Record<string, Likelihood>>;

export interface LikelihoodsMeasure extends DenoisingMeasure {
  readonly readout: TokenSampling["readout"];
}

/**
 * Likelihoods of text under a model that denoises token embeddings, of three kinds:
 *
 * - `block b`: by the block's prediction of the next token from the tokens before and a z of pure noise at the noisy
 *   end of its range. z tells nothing of the token, so this is an ordinary next-token distribution, and exact.
 *   `blocks together`: by the mean of their logits. Of groups of tokens these are likelihoods of tokens that are
 *   independent within a group.
 * - `diffusion`: of the diffusion model over all noise levels, a bound: see {@link denoisingBound}.
 * - `next-token head b`: by the head on the context stream, where it was trained; `next-token heads together`: by the
 *   mean of their logits.
 *
 * @returns by name, the first being what generation draws from.
 */
export async function denoisingLikelihoods(measure: LikelihoodsMeasure): Promise<Likelihoods> {
  const { model, readout } = measure;
  const { blocks, answering, groupSize } = model;
  const withHead = [...blocks.keys()].filter((b) => blocks[b]!.nextToken !== undefined);
  const entries = await perBlockLikelihoods(measure, {
    name: "block",
    asked: [...blocks.keys()],
    together: answering,
    logitsOf: async (b, tokens, first) => (await measure.call(blocks[b]!.estimate, entryFeeds(measure, b, tokens, first))).evidence,
  });
  const heads = await perBlockLikelihoods(measure, {
    name: "next-token head",
    asked: withHead,
    together: nextTokenHeads(model),
    logitsOf: async (b, tokens) => (await measure.call(blocks[b]!.nextToken!, { tokens })).logits,
  });
  const bound = { diffusion: await denoisingBound(measure) };
  if (groupSize > 1) return { ...bound, ...entries };
  return readout === "next-token" ? { ...heads, ...entries, ...bound } : { ...entries, ...bound, ...heads };
}

/** Programs of a block that give −ln p alone, [batch, length], without logits: these are many. */
export interface BlockLosses extends TokenDenoiserBlock {
  /** By the evidence. */
  readonly evidenceLoss: PredictionProgram<NoisyTextInput, "nats">;
  /** By the next-token head; undefined where none was trained. */
  readonly nextTokenLoss?: PredictionProgram<"tokens", "nats"> | undefined;
}

/** The likelihood by one block alone, `block b` or `next-token head b`: what it has learned, measurable before the others are trained. */
export function blockLikelihood(
  measure: LikelihoodsMeasure & { readonly model: TokenDenoiser<BlockLosses> },
  block: number,
): Promise<Likelihoods> {
  const { call, model, readout, text } = measure;
  const { evidenceLoss, nextTokenLoss } = model.blocks[block]!;
  return exactLikelihoods(text, sizesOf(measure), async (tokens, first) =>
    readout === "next-token" && nextTokenLoss !== undefined
      ? { [`next-token head ${block}`]: (await call(nextTokenLoss, { tokens })).nats }
      : { [`block ${block}`]: (await call(evidenceLoss, entryFeeds(measure, block, tokens, first))).nats },
  );
}

interface PerBlock {
  readonly name: string;
  readonly asked: readonly number[];
  /** Those whose mean is the model's prediction. */
  readonly together: readonly number[];
  /** Logits of a batch of texts, [batch, length, vocabSize]; `first` is the number of its first sequence. */
  logitsOf(block: number, tokens: Int32Array, first: number): Promise<Float32Array>;
}

/** −ln p by the prediction of each block, after that by their mean, where several answer together, or by the one that answers alone. */
async function perBlockLikelihoods(measure: DenoisingMeasure, { name, asked, together, logitsOf }: PerBlock): Promise<Likelihoods> {
  const { vocabSize, length } = measure.model;
  const size = measure.batchSize * length * vocabSize;
  const ordered = [...asked].sort((a, b) => Number(together.includes(b)) - Number(together.includes(a)) || a - b);
  return exactLikelihoods(measure.text, sizesOf(measure), async (tokens, first) => {
    const mean = new Float32Array(together.length > 1 ? size : 0);
    const alone: Record<string, Float32Array> = {};
    for (const b of ordered) {
      const logits = await logitsOf(b, tokens, first);
      alone[`${name} ${b}`] = negativeLogs(logits, tokens, vocabSize);
      if (together.includes(b)) for (const i of mean.keys()) mean[i]! += logits[i]! / together.length;
    }
    return { ...(together.length > 1 && { [`${name}s together`]: negativeLogs(mean, tokens, vocabSize) }), ...alone };
  });
}

function sizesOf({ model: { length }, batchSize }: DenoisingMeasure): { readonly length: number; readonly batchSize: number } {
  return { length, batchSize };
}

/** Tokens, and z of pure noise at the noisy end of a block's range. */
function entryFeeds(
  { model: { length, partition, width }, batchSize, key }: DenoisingMeasure,
  block: number,
  tokens: Int32Array,
  first: number,
): Readonly<Record<NoisyTextInput, Float32Array | Int32Array>> {
  const sigma = entryLevel(partition.ranges[block]!, block);
  const noise = sequenceNoise(fold(key, block), { first, count: batchSize }, length * width);
  return { tokens, z: noise.map((x) => x * sigma), ...levelsAt(sigma, partition.noise, batchSize) };
}

/** −ln softmax(logits)[token] of each row. */
function negativeLogs(logits: Float32Array, tokens: Int32Array, vocabSize: number): Float32Array {
  return Float32Array.from(tokens, (token, i) => negativeLogSoftmax(logits.subarray(i * vocabSize, (i + 1) * vocabSize), token));
}
