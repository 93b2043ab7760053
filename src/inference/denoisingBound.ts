import { blockOfSigma, levelsAt, levelsOf } from "../diffusion/index.ts";
import { fold, type Key, normals, uniformAt } from "../random.ts";
import type { Call, Likelihood, MeasuredText, PredictionProgram } from "../train/index.ts";
import { exactLikelihoods } from "./likelihood.ts";
import { noisyEmbeddings, sequenceNoise } from "./noisyEmbeddings.ts";
import { shuffled } from "./shuffle.ts";
import type { NoisyTextInput, TokenDenoiser, TokenDenoiserBlock } from "./tokenDenoiser.ts";

export interface DenoisingMeasure<Block extends TokenDenoiserBlock = TokenDenoiserBlock> {
  readonly model: TokenDenoiser<Block>;
  readonly call: Call;
  readonly batchSize: number;
  readonly text: MeasuredText;
  /** The key of all noise. */
  readonly key: Key;
}

/** The level at which a sequence is measured, and the weight of its error in the integral over s. */
interface Level {
  readonly sigma: number;
  readonly weight: number;
}

/**
 * −ln p of the diffusion model over all noise levels, ½ ∫ E‖y − D(y + σε, σ)‖² ds, s = 1/σ², from 0 to ∞, where each
 * level is asked of the block that owns it. It holds with equality for the best D; for any other the average over
 * texts is at least the true one: a bound. Estimated at one level for each sequence. Beyond σ_max, below s =
 * 1/σ_max², the error is at most that of the mean embedding, which is added.
 *
 * @see Kong et al. 2023 (arXiv 2302.03792)
 */
export async function denoisingBound({ model, call, batchSize, text, key }: DenoisingMeasure): Promise<Likelihood> {
  const { length, partition, width, targetScale } = model;
  const { noise } = partition;
  const size = length * width;
  const order = shuffled([...Array(text.count).keys()], fold(key, "order"));
  const levels = integrationLevels(model, text.count, fold(key, "levels"));
  const { table } = await call(model.table, {});
  const groups = partition.ranges.map((): { readonly sequence: number; readonly stratum: number }[] => []);
  for (const [stratum, sequence] of order.entries()) {
    const { sigma } = levels[stratum]!;
    groups[blockOfSigma(partition, Math.min(noise.sigmaMax, Math.max(noise.sigmaMin, sigma)))]!.push({ sequence, stratum });
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
        const own = text.tokens.subarray(sequence * length, (sequence + 1) * length);
        const epsilon = normals(fold(fold(key, "noise"), sequence), size);
        tokens.set(own, row * length);
        sigmas[row] = sigma;
        z.set(noisyEmbeddings(own, table, epsilon, sigma), row * size);
      }
      const { squaredError } = await call(model.blocks[b]!.squaredError, { tokens, z, ...levelsOf(sigmas, noise) });
      for (const [row, { sequence, stratum }] of batch.entries()) {
        const counted = squaredError.subarray(row * length + text.from(sequence), row * length + (text.to ?? length));
        values[stratum] = (levels[stratum]!.weight / 2) * (counted.reduce((sum, x) => sum + x, 0) / counted.length);
      }
    }
  }
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { nats: mean + targetScale ** 2 / (2 * noise.sigmaMax ** 2), error: stratifiedError(values), kind: "bound" };
}

/**
 * Nine sequences in ten have an s spread evenly over [1/σ_max², S], S being five times the 2 ln V at which an
 * embedding of length 1 among V can be told from its noise; the tenth has an s spread evenly in ln s from there to
 * 1/σ_min², where almost nothing is left.
 */
function integrationLevels(
  { partition: { noise }, vocabSize, targetScale }: Pick<TokenDenoiser, "partition" | "vocabSize" | "targetScale">,
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

/** The standard error of a mean over strata in order, where the difference from one to the next is noise (Wolter 2007, Section 8.2). */
function stratifiedError(values: Float64Array): number {
  const differences = values.subarray(1).map((x, i) => (x - values[i]!) ** 2);
  const variance = differences.reduce((sum, x) => sum + x, 0) / (2 * Math.max(1, differences.length));
  return Math.sqrt(variance / values.length);
}

/** A block with −ln p of each token by its logits, [batch, length]. */
export interface DenoisingLossBlock extends TokenDenoiserBlock {
  readonly loss: PredictionProgram<NoisyTextInput, "nats">;
}

/** E[−ln p(token | tokens before, y + σε)] at one noise level, by the block that owns it: what training minimises there. */
export async function crossEntropyOfLevel(
  { model, call, batchSize, text, key }: DenoisingMeasure<DenoisingLossBlock>,
  sigma: number,
): Promise<number> {
  const { length, partition, width } = model;
  const { table } = await call(model.table, {});
  const levels = levelsAt(sigma, partition.noise, batchSize);
  const { loss } = await exactLikelihoods(text, { length, batchSize }, async (tokens, first) => {
    const noise = sequenceNoise(key, { first, count: batchSize }, length * width);
    const z = noisyEmbeddings(tokens, table, noise, sigma);
    return { loss: (await call(model.blocks[blockOfSigma(partition, sigma)]!.loss, { tokens, z, ...levels })).nats };
  });
  return loss!.nats;
}
