import { type MaskedText, type TextBound, textBound } from "../blocks/index.ts";
import { type TextDataset, unigramEntropy } from "../data/index.ts";
import { fold, key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { createCaller, type ParameterValues, type Unit } from "../train/index.ts";

/** What a masked diffusion model does with held-out text, in bits for each token: for text8 bits per character. */
export interface TextEvaluation {
  /** An upper bound of −log₂ p, with its standard error. */
  readonly bits: number;
  readonly error: number;
  /** What each block contributes to it. */
  readonly parts: Readonly<Record<string, number>>;
  /** What a model reaches that knows nothing, and one that knows how often each token occurs. */
  readonly uniform: number;
  readonly unigram: number;
  readonly tokens: number;
}

export interface EvaluateTextOptions {
  readonly device: Device;
  readonly values: ParameterValues;
  readonly batchSize: number;
  /** Times and hidden tokens are drawn anew as often, and the results averaged. */
  readonly seeds: number;
}

/** Measures the bound on the test part. */
export async function evaluateText(
  method: MaskedText,
  data: TextDataset,
  { device, values, batchSize, seeds }: EvaluateTextOptions,
): Promise<TextEvaluation> {
  await using caller = createCaller(method, { device, values, batchSize });
  const bounds: TextBound[] = [];
  for (let seed = 0; seed < seeds; seed++)
    bounds.push(await textBound({ method, call: caller.call, batchSize, tokens: data.test, key: fold(key("bound"), seed) }));
  const mean = (of: (bound: TextBound) => number): number => bounds.reduce((sum, bound) => sum + of(bound), 0) / bounds.length;
  const bits = (nats: number): number => nats / Math.LN2;
  const { vocabSize } = data.tokenizer;
  return {
    bits: bits(mean(({ nats }) => nats)),
    error: bits(mean(({ error }) => error) / Math.sqrt(seeds)),
    parts: Object.fromEntries(method.units.map(({ name }, b) => [name, bits(mean(({ parts }) => parts[b]!))])),
    uniform: Math.log2(vocabSize),
    unigram: bits(unigramEntropy(data.test, vocabSize)),
    tokens: data.test.length,
  };
}

/** Sequences of the validation part that are measured while a block trains. */
const watched = 256;

/** The part of the bound that lies in the range of one block, in bits for each token. */
export async function evaluateTextUnit(
  method: MaskedText,
  unit: Unit,
  data: TextDataset,
  { device, values, batchSize }: Omit<EvaluateTextOptions, "seeds">,
): Promise<number> {
  await using caller = createCaller(method, { device, values, batchSize });
  const tokens = data.validation.subarray(0, watched * method.architecture.length);
  const block = method.units.indexOf(unit);
  return (await textBound({ method, call: caller.call, batchSize, tokens, key: key("watched"), block })).nats / Math.LN2;
}
