import {
  accuracyText,
  bitsText,
  type Evaluation,
  type GenerationQuality,
  type ImageFid,
  isOfClasses,
  isOfText,
} from "../experiments/index.ts";

/** An evaluation as lines for people. */
export function evaluationText(evaluation: Evaluation): string {
  if (isOfText(evaluation)) {
    const { parts, likelihoods, uniform, unigram, tokens, perplexity, bitsPerByte } = evaluation;
    const list = Object.entries(parts).map(([name, part]) => `${part.toFixed(3)} of ${name}`);
    return [
      `${bitsText(evaluation)} bits a token on ${tokens} tokens${list.length > 0 ? ` (${list.join(", ")})` : ""}; perplexity ${perplexity.toFixed(2)}, ${bitsPerByte.toFixed(3)} bits a byte`,
      ...Object.entries(likelihoods).map(([name, one]) => `  ${name.padEnd(16)} ${bitsText(one)}`),
      `symbol frequencies alone ${unigram.toFixed(3)}, nothing ${uniform.toFixed(3)}`,
    ].join("\n");
  }
  if (!isOfClasses(evaluation)) {
    const levels = evaluation.levels.map(({ weighted, sigma, block }) => `${weighted.toFixed(3)} at ${sigma} (${block})`);
    return `denoising loss on test images ${evaluation.loss.toFixed(4)}\nby sigma: ${levels.join(", ")}`;
  }
  const { units, crossEntropy } = evaluation;
  const levels = crossEntropy.map((level) => `${level.crossEntropy.toFixed(3)} at ${level.sigma} (${level.block})`);
  return [
    `test accuracy ${accuracyText(evaluation)}`,
    ...Object.entries(units).map(([name, accuracy]) => `  ${name} alone ${(100 * accuracy).toFixed(2)} %`),
    ...(levels.length > 0 ? [`cross-entropy by sigma: ${levels.join(", ")}`] : []),
  ].join("\n");
}

/** All evaluations, their mean and their least. */
export function fidText({ name, samples, train, test }: ImageFid): string {
  const line = (to: string, values: readonly number[]): string => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `${name} to the ${to} images: ${values.map((value) => value.toFixed(3)).join(", ")}; mean ${mean.toFixed(3)}, least ${Math.min(...values).toFixed(3)}`;
  };
  return `${line("training", train)}\n${line("test", test)}\n${samples} images in each of ${train.length} evaluations`;
}

/** Continuations of a language model beside the true ones. */
export function generationText({
  texts,
  promptTokens,
  tokens,
  distinct2,
  generativePerplexity,
  millisecondsPerToken,
}: GenerationQuality): string {
  const both = ({ drawn, real }: { drawn: number; real: number }, digits: number): string =>
    `${drawn.toFixed(digits)} (the true ones ${real.toFixed(digits)})`;
  return [
    `${texts} continuations of ${promptTokens} tokens by ${tokens}: distinct-2 ${both(distinct2, 3)}`,
    ...(generativePerplexity ? [`perplexity under the teacher ${both(generativePerplexity, 2)}`] : []),
    `${millisecondsPerToken.toFixed(2)} ms a token`,
  ].join("\n");
}
