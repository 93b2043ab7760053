import { blockOfSigma } from "../diffusion/index.ts";
import { fold, type Key, normal, uniformAt } from "../random.ts";
import { type CallProgram, exactLikelihoods, type Likelihood, type MeasuredText } from "../train/index.ts";
import { answeringBlocks } from "./generateText.ts";
import type { LanguageBlocks } from "./languageBlocks.ts";
import { levelFeeds } from "./levels.ts";
import { shuffled } from "./measureText.ts";
import { entryLevel } from "./predict.ts";

/** What is measured: programs `block-b`, `block-b measured` and `targets`. */
export type MeasuredLanguage = Pick<LanguageBlocks, "length" | "vocabSize" | "partition" | "targetScale" | "reading"> & {
  readonly architecture: Pick<LanguageBlocks["architecture"], "width">;
};

export interface LanguageMeasure {
  readonly model: MeasuredLanguage;
  readonly call: CallProgram;
  readonly batchSize: number;
  readonly text: MeasuredText;
  readonly key: Key;
  /** Only this block's own likelihood. */
  readonly block: number | undefined;
  /** Whether the reading says something of the next token itself. */
  readonly hasReadingHead: boolean;
}

/**
 * Likelihoods of text under a language model in blocks, three kinds:
 *
 * - `block b`: what the block says of the next token from the tokens before and a z of pure noise at the noisy end of its range. z knows nothing of the token, so this is an ordinary next-token distribution, and exact.
 *   `blocks together`: the same of the mean of what they say.
 * - `diffusion`: of the diffusion model over all noise levels, −ln p = ½ ∫ E‖y − D(y + σε, σ)‖² ds, s = 1/σ², from 0 to ∞ (Kong et al. 2023), where each level asks the block that owns it. It holds with equality for the best D;
 *   for any other the average over texts is at least the true one: a bound. Estimated at one level for each sequence. Beyond σ_max, below s = 1/σ_max², the error is at most that of the mean embedding, which is added.
 * - `reading b`: what the reading of the tokens before says of the next, where it was trained to.
 */
export async function blockLikelihoods(measure: LanguageMeasure): Promise<Readonly<Record<string, Likelihood>>> {
  const { model, call, batchSize, text, block, hasReadingHead } = measure;
  const { length } = model;
  if (block !== undefined) return entryLikelihoods(measure, [block], []);
  const numbers = [...model.partition.ranges.keys()];
  const answering = answeringBlocks(model);
  const last = answering.at(-1)!;
  const entries = await entryLikelihoods(measure, [last, ...numbers.filter((b) => b !== last)], answering.length > 1 ? answering : []);
  const result = { ...entries, diffusion: await diffusionBound(measure) };
  if (!hasReadingHead) return result;
  const readings = await exactLikelihoods(text, { length, batchSize }, async (tokens) => {
    const named: Record<string, Float32Array> = {};
    for (const b of numbers) named[`reading ${b}`] = (await call(`block-${b} read`, { tokens })).nats as Float32Array;
    return named;
  });
  return { ...result, ...readings };
}

/** −ln p of the next token by what each of some blocks says from pure noise, and before them by the mean of what some of those `together` say, where there are any. */
async function entryLikelihoods(
  { model, call, batchSize, text, key }: LanguageMeasure,
  blocks: readonly number[],
  together: readonly number[],
): Promise<Readonly<Record<string, Likelihood>>> {
  const { length, vocabSize, partition, architecture } = model;
  const size = length * architecture.width;
  return exactLikelihoods(text, { length, batchSize }, async (tokens, first) => {
    const said = new Map<number, Float32Array>();
    for (const b of blocks) {
      const sigma = entryLevel(partition.ranges[b]!, b);
      const z = new Float32Array(batchSize * size);
      for (let row = 0; row < batchSize; row++) normal(fold(fold(key, b), first + row), z.subarray(row * size, (row + 1) * size));
      const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData);
      said.set(b, (await call(`block-${b}`, { tokens, z: z.map((x) => x * sigma), ...levels })).evidence as Float32Array);
    }
    const mean = new Float32Array(together.length > 0 ? batchSize * length * vocabSize : 0);
    for (const b of together) for (const [i, score] of said.get(b)!.entries()) mean[i]! += score / together.length;
    return {
      ...(together.length > 0 && { "blocks together": negativeLogs(mean, tokens, vocabSize) }),
      ...Object.fromEntries(blocks.map((b) => [`block ${b}`, negativeLogs(said.get(b)!, tokens, vocabSize)])),
    };
  });
}

/** −ln softmax(scores)[token] of each row. */
function negativeLogs(scores: Float32Array, tokens: Int32Array, vocabSize: number): Float32Array {
  return Float32Array.from(tokens, (token, i) => {
    const row = scores.subarray(i * vocabSize, (i + 1) * vocabSize);
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return top - row[token]! + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
  });
}

/** The level at which a sequence is measured, and what its error counts in the integral over s. */
interface Level {
  readonly sigma: number;
  readonly weight: number;
}

/**
 * Nine sequences in ten stand at an s spread evenly over [1/σ_max², S], S being five times the 2 ln V at which an embedding of length 1 among V can be told from its noise; the tenth at an s spread evenly in ln s from there
 * to 1/σ_min², where almost nothing is left.
 */
export function integrationLevels(
  {
    partition: { noise },
    vocabSize,
    targetScale,
  }: { readonly partition: LanguageBlocks["partition"]; readonly vocabSize: number; readonly targetScale: number },
  count: number,
  key: Key,
): readonly Level[] {
  const [least, most] = [noise.sigmaMax ** -2, noise.sigmaMin ** -2];
  const middle = Math.min(most, (10 * Math.log(vocabSize)) / targetScale ** 2);
  const far = middle < most ? Math.floor(count / 10) : 0;
  const near = count - far;
  const levels = Array.from({ length: near }, (_, i): Level => {
    const s = least + (middle - least) * ((i + uniformAt(key, i)) / near);
    return { sigma: s ** -0.5, weight: ((middle - least) * count) / near };
  });
  const span = Math.log(most / middle);
  for (let i = 0; i < far; i++) {
    const s = middle * Math.exp(span * ((i + uniformAt(key, near + i)) / far));
    levels.push({ sigma: s ** -0.5, weight: (s * span * count) / far });
  }
  return levels;
}

async function diffusionBound({ model, call, batchSize, text, key }: LanguageMeasure): Promise<Likelihood> {
  const { length, partition, architecture, vocabSize, targetScale } = model;
  const { noise } = partition;
  const size = length * architecture.width;
  const order = shuffled([...Array(text.count).keys()], fold(key, "order"));
  const levels = integrationLevels({ partition, vocabSize, targetScale }, text.count, fold(key, "levels"));
  const table = (await call("targets", {})).table as Float32Array;
  const groups = partition.ranges.map((): { readonly sequence: number; readonly stratum: number }[] => []);
  for (const [k, i] of order.entries()) {
    const level = levels[k]!;
    groups[blockOfSigma(partition, Math.min(noise.sigmaMax, Math.max(noise.sigmaMin, level.sigma)))]!.push({ sequence: i, stratum: k });
  }
  const values = new Float64Array(text.count);
  for (const [b, members] of groups.entries()) {
    for (let from = 0; from < members.length; from += batchSize) {
      const batch = members.slice(from, from + batchSize);
      const tokens = new Int32Array(batchSize * length);
      const z = new Float32Array(batchSize * size);
      const sigmas = new Float32Array(batchSize).fill(noise.sigmaMax);
      for (const [row, { sequence, stratum }] of batch.entries()) {
        const { sigma } = levels[stratum]!;
        tokens.set(text.tokens.subarray(sequence * length, (sequence + 1) * length), row * length);
        sigmas[row] = sigma;
        const own = z.subarray(row * size, (row + 1) * size);
        normal(fold(fold(key, "noise"), sequence), own);
        addEmbeddings(own, tokens.subarray(row * length, (row + 1) * length), table, sigma);
      }
      const errors = (await call(`block-${b} measured`, { tokens, z, ...levelFeeds(sigmas, noise.sigmaData) }))
        .squaredError as Float32Array;
      for (const [row, { sequence, stratum }] of batch.entries()) {
        const own = errors.subarray(row * length + text.from(sequence), row * length + (text.to ?? length));
        values[stratum] = (levels[stratum]!.weight / 2) * (own.reduce((sum, x) => sum + x, 0) / own.length);
      }
    }
  }
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  // Of strata in order, what differs from one to the next is noise (Wolter 2007, Section 8.2).
  const differences = values.subarray(1).map((x, i) => (x - values[i]!) ** 2);
  const variance = differences.reduce((sum, x) => sum + x, 0) / (2 * Math.max(1, differences.length));
  return { nats: mean + targetScale ** 2 / (2 * noise.sigmaMax ** 2), error: Math.sqrt(variance / values.length), kind: "bound" };
}

/** z = y + σε in place of ε. */
function addEmbeddings(z: Float32Array, tokens: Int32Array, table: Float32Array, sigma: number): void {
  const width = z.length / tokens.length;
  for (let i = 0; i < z.length; i++) z[i] = table[tokens[Math.floor(i / width)]! * width + (i % width)]! + sigma * z[i]!;
}
