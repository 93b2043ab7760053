import { blockOfSigma } from "../diffusion/index.ts";
import { fold, type Key, normal, uniformAt } from "../random.ts";
import { type CallProgram, exactLikelihoods, type Likelihood, type MeasuredText } from "../train/index.ts";
import { answeringBlocks, speakingBlocks } from "./generateText.ts";
import type { LanguageBlocks } from "./languageBlocks.ts";
import { levelFeeds } from "./levels.ts";
import { shuffled } from "./measureText.ts";
import { entryLevel } from "./predict.ts";

/** What is measured, by the programs of `languagePrograms`. */
export type MeasuredLanguage = Pick<
  LanguageBlocks,
  "length" | "vocabSize" | "partition" | "targetScale" | "reading" | "groupSize" | "speaking"
> & {
  readonly architecture: Pick<LanguageBlocks["architecture"], "width">;
  readonly sampling: Pick<LanguageBlocks["sampling"], "readout">;
};

export interface LanguageMeasure {
  readonly model: MeasuredLanguage;
  readonly call: CallProgram;
  readonly batchSize: number;
  readonly text: MeasuredText;
  readonly key: Key;
  /** Only this block's own likelihood. */
  readonly block: number | undefined;
}

/**
 * Likelihoods of text under a language model in blocks, three kinds:
 *
 * - `block b`: what the block says of the next token from the tokens before and a z of pure noise at the noisy end of its range. z knows nothing of the token, so this is an ordinary next-token distribution, and exact.
 *   `blocks together`: the same of the mean of what they say. Of groups of tokens these are likelihoods of tokens that are independent within a group.
 * - `diffusion`: of the diffusion model over all noise levels, −ln p = ½ ∫ E‖y − D(y + σε, σ)‖² ds, s = 1/σ², from 0 to ∞ (Kong et al. 2023), where each level asks the block that owns it. It holds with equality for the best D;
 *   for any other the average over texts is at least the true one: a bound. Estimated at one level for each sequence. Beyond σ_max, below s = 1/σ_max², the error is at most that of the mean embedding, which is added.
 * - `reading b`: what the reading of the tokens before says of the next, where it was trained to; `readings together` of the mean of what they say.
 *
 * The first is what generation draws from.
 */
export async function blockLikelihoods(measure: LanguageMeasure): Promise<Readonly<Record<string, Likelihood>>> {
  const { model, block } = measure;
  const { groupSize, sampling, speaking, partition } = model;
  if (block !== undefined)
    return sampling.readout === "next-token" && speaking.includes(block)
      ? readingLikelihood(measure, block)
      : entryLikelihood(measure, block);
  const entries = await opinions(measure, {
    name: "block",
    blocks: [...partition.ranges.keys()],
    together: answeringBlocks(model),
    ask: askEntry,
  });
  const readings = await opinions(measure, { name: "reading", blocks: speaking, together: speakingBlocks(model), ask: askReading });
  const bound = { diffusion: await diffusionBound(measure) };
  if (groupSize > 1) return { ...bound, ...entries };
  return sampling.readout === "next-token" ? { ...readings, ...entries, ...bound } : { ...entries, ...bound, ...readings };
}

/** Of a block's evidence at the noisy end of its range, without its scores: these are many. */
function entryLikelihood(measure: LanguageMeasure, block: number): Promise<Readonly<Record<string, Likelihood>>> {
  return exactLikelihoods(measure.text, sizesOf(measure), async (tokens, first) => {
    const { nats } = await measure.call(`block-${block} entry`, entryFeeds(measure, block, tokens, first));
    return { [`block ${block}`]: nats as Float32Array };
  });
}

function readingLikelihood(measure: LanguageMeasure, block: number): Promise<Readonly<Record<string, Likelihood>>> {
  return exactLikelihoods(measure.text, sizesOf(measure), async (tokens) => ({
    [`reading ${block}`]: (await measure.call(`block-${block} read`, { tokens })).nats as Float32Array,
  }));
}

interface Opinions {
  readonly name: "block" | "reading";
  readonly blocks: readonly number[];
  /** Those whose mean is an answer. */
  readonly together: readonly number[];
  /** The scores of a batch of texts, of which the first has this number: [batch, length, vocabSize]. */
  readonly ask: (measure: LanguageMeasure, block: number, tokens: Int32Array, first: number) => Promise<Float32Array>;
}

/** −ln p of the next token by what each of some blocks says, and by the mean of what those say that answer together. First comes what they answer together, or the one that answers alone. */
async function opinions(
  measure: LanguageMeasure,
  { name, blocks, together, ask }: Opinions,
): Promise<Readonly<Record<string, Likelihood>>> {
  const { vocabSize } = measure.model;
  const size = measure.batchSize * measure.model.length * vocabSize;
  const inOrder = [...blocks].sort((a, b) => Number(together.includes(b)) - Number(together.includes(a)) || a - b);
  return exactLikelihoods(measure.text, sizesOf(measure), async (tokens, first) => {
    const mean = new Float32Array(together.length > 1 ? size : 0);
    const alone: Record<string, Float32Array> = {};
    for (const b of inOrder) {
      const scores = await ask(measure, b, tokens, first);
      alone[`${name} ${b}`] = negativeLogs(scores, tokens, vocabSize);
      if (together.includes(b)) for (const i of mean.keys()) mean[i]! += scores[i]! / together.length;
    }
    return { ...(together.length > 1 && { [`${name}s together`]: negativeLogs(mean, tokens, vocabSize) }), ...alone };
  });
}

async function askEntry(measure: LanguageMeasure, block: number, tokens: Int32Array, first: number): Promise<Float32Array> {
  return (await measure.call(`block-${block}`, entryFeeds(measure, block, tokens, first))).evidence as Float32Array;
}

async function askReading({ call }: LanguageMeasure, block: number, tokens: Int32Array): Promise<Float32Array> {
  return (await call(`block-${block} said`, { tokens })).scores as Float32Array;
}

function sizesOf({ model: { length }, batchSize }: LanguageMeasure): { readonly length: number; readonly batchSize: number } {
  return { length, batchSize };
}

/** Tokens, and z of pure noise at the noisy end of a block's range. */
function entryFeeds(
  { model: { length, partition, architecture }, batchSize, key }: LanguageMeasure,
  block: number,
  tokens: Int32Array,
  first: number,
): Record<string, Float32Array | Int32Array> {
  const size = length * architecture.width;
  const sigma = entryLevel(partition.ranges[block]!, block);
  const z = new Float32Array(batchSize * size);
  for (let row = 0; row < batchSize; row++) normal(fold(fold(key, block), first + row), z.subarray(row * size, (row + 1) * size));
  for (let i = 0; i < z.length; i++) z[i]! *= sigma;
  return { tokens, z, ...levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData) };
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

/** E[−ln p(token | tokens before, y + σε)] at one noise level, by the block that owns it: what training minimises there. */
export async function crossEntropyOfLevel({ model, call, batchSize, text, key }: LanguageMeasure, sigma: number): Promise<number> {
  const { length, partition, architecture } = model;
  const size = length * architecture.width;
  const table = (await call("targets", {})).table as Float32Array;
  const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData);
  const { loss } = await exactLikelihoods(text, { length, batchSize }, async (tokens, first) => {
    const z = new Float32Array(batchSize * size);
    for (let row = 0; row < batchSize; row++) normal(fold(key, first + row), z.subarray(row * size, (row + 1) * size));
    addEmbeddings(z, tokens, table, sigma);
    const { nats } = await call(`block-${blockOfSigma(partition, sigma)} loss`, { tokens, z, ...levels });
    return { loss: nats as Float32Array };
  });
  return loss!.nats;
}

/** z = y + σε in place of ε. */
function addEmbeddings(z: Float32Array, tokens: Int32Array, table: Float32Array, sigma: number): void {
  const width = z.length / tokens.length;
  for (let i = 0; i < z.length; i++) z[i] = table[tokens[Math.floor(i / width)]! * width + (i % width)]! + sigma * z[i]!;
}
