import type { GenerationQuality, ImageFid } from "../node.ts";

/** All evaluations, their mean and their least. */
export function fidText({ name, samples, train, test, kernel }: ImageFid): string {
  const line = (to: string, values: readonly number[]): string => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `${name} to the ${to} images: ${values.map((value) => value.toFixed(3)).join(", ")}; mean ${mean.toFixed(3)}, least ${Math.min(...values).toFixed(3)}`;
  };
  const kernels = kernel.map(({ mean, std }) => `${mean.toFixed(4)} ± ${std.toFixed(4)}`).join(", ");
  return `${line("training", train)}\n${line("test", test)}\n${name.replace("FID", "KID")} to the test images: ${kernels}\n${samples} images in each of ${train.length} evaluations`;
}

/** Continuations of a language model beside the true ones. */
export function generationText({
  texts,
  promptTokens,
  tokens,
  distinctShares,
  selfBleu,
  generativePerplexity,
  mauve,
  millisecondsPerToken,
}: GenerationQuality): string {
  const both = ({ drawn, real }: { drawn: number; real: number }, digits: number): string =>
    `${drawn.toFixed(digits)} (the true ones ${real.toFixed(digits)})`;
  return [
    `${texts} continuations of ${promptTokens} tokens by ${tokens}: ${distinctShares.map((one, n) => `distinct-${n + 1} ${both(one, 3)}`).join(", ")}; self-BLEU ${both(selfBleu, 3)}`,
    ...(generativePerplexity ? [`perplexity under the teacher ${both(generativePerplexity, 2)}`] : []),
    ...(mauve ? [mauveText(mauve)] : []),
    `${millisecondsPerToken.toFixed(2)} ms a token`,
  ].join("\n");
}

/** MAUVE with what it depends on. */
function mauveText({
  mauve,
  std,
  smoothed,
  scaling,
  buckets,
  components,
  seeds,
  continuations,
}: NonNullable<GenerationQuality["mauve"]>): string {
  const by = `scaling ${scaling}, ${buckets} buckets, ${components} components, ${seeds} clusterings, ${continuations} of each prompt`;
  return `MAUVE ${mauve.toFixed(3)} ± ${std.toFixed(3)}, smoothed ${smoothed.toFixed(3)} (features: logits of the teacher behind each text; ${by})`;
}
