import { type TextDataset, unigramEntropy } from "../data/index.ts";
import type { EvaluationOptions, LossByLevel } from "../define/index.ts";
import {
  crossEntropyOfLevel,
  type DenoisingLossBlock,
  isLanguageModel,
  type MaskedBound,
  type MaskedTextModel,
  maskedBound,
  overlappingText,
  type TextModel,
  type TokenDenoiser,
} from "../inference/index.ts";
import { fold, key } from "../random.ts";
import { type Call, createCaller, type LanguageModel, type TrainingMethod, type Unit } from "../train/index.ts";

/**
 * −log₂ p of a text in bits for each token, exact or an upper bound on average; with a standard
 * error where it was estimated.
 */
export interface TextBits {
  readonly bits: number;
  readonly error?: number;
  readonly kind: "exact" | "bound";
}

/** The evaluation of a model on held-out text. */
export interface TextEvaluation extends TextBits {
  /** 2^bits: among how many tokens the model is undecided. */
  readonly perplexity: number;
  /** bits for each byte of the text: what tokenizers cannot flatter. */
  readonly bitsPerByte: number;
  /** The part of a bound that each block contributes. */
  readonly parts: Readonly<Record<string, number>>;
  /** All likelihoods that a language model has, by name, that of `bits` first. */
  readonly likelihoods: Readonly<Record<string, TextBits>>;
  /** The uniform and the unigram entropy, in bits. */
  readonly uniform: number;
  readonly unigram: number;
  readonly tokens: number;
}

/** Measures a model on the test part. */
export async function evaluateText(
  method: TextModel,
  data: TextDataset,
  { device, values, batchSize, seeds }: EvaluationOptions,
): Promise<TextEvaluation> {
  await using caller = createCaller(method, { device, values, batchSize });
  const measured = isLanguageModel(method)
    ? await languageBits(method, caller.call, batchSize, data.test)
    : await maskedBits(method, caller.call, { batchSize, seeds, tokens: data.test });
  const { vocabSize } = data.tokenizer;
  const bytes = new TextEncoder().encode(data.tokenizer.decode(data.test)).length;
  return {
    ...measured,
    perplexity: 2 ** measured.bits,
    bitsPerByte: (measured.bits * data.test.length) / bytes,
    uniform: Math.log2(vocabSize),
    unigram: inBits(unigramEntropy(data.test, vocabSize)),
    tokens: data.test.length,
  };
}

type MeasuredBits = TextBits & Pick<TextEvaluation, "parts" | "likelihoods">;

async function languageBits(method: LanguageModel, call: Call, batchSize: number, tokens: Int32Array, unit?: Unit): Promise<MeasuredBits> {
  const measured = await method.likelihoods(call, batchSize, overlappingText(tokens, method.length), key("likelihood"), unit);
  const likelihoods = Object.fromEntries(
    Object.entries(measured).map(([name, { nats, error, kind }]): [string, TextBits] => [
      name,
      { bits: inBits(nats), ...(error !== undefined && { error: inBits(error) }), kind },
    ]),
  );
  return { ...Object.values(likelihoods)[0]!, parts: {}, likelihoods };
}

async function maskedBits(
  method: TrainingMethod & MaskedTextModel,
  call: Call,
  { batchSize, seeds, tokens }: { readonly batchSize: number; readonly seeds: number; readonly tokens: Int32Array },
): Promise<MeasuredBits> {
  const bounds: MaskedBound[] = [];
  for (let seed = 0; seed < seeds; seed++)
    bounds.push(await maskedBound({ model: method, call, batchSize, tokens, key: fold(key("bound"), seed) }));
  const mean = (of: (bound: MaskedBound) => number): number => bounds.reduce((sum, bound) => sum + of(bound), 0) / bounds.length;
  return {
    bits: inBits(mean(({ nats }) => nats)),
    error: inBits(mean(({ error }) => error) / Math.sqrt(seeds)),
    kind: "bound",
    parts: Object.fromEntries(method.units.map(({ name }, b) => [name, inBits(mean(({ parts }) => parts[b]!))])),
    likelihoods: {},
  };
}

function inBits(nats: number): number {
  return nats / Math.LN2;
}

/** Sequences of the validation part that are measured while a block trains. */
const watched = 256;

/**
 * Bits for each token of validation text by one block: of a masked diffusion model the part of the bound
 * that lies in its range.
 */
export async function evaluateTextUnit(
  method: TextModel,
  unit: Unit,
  data: TextDataset,
  { device, values, batchSize }: Omit<EvaluationOptions, "seeds">,
): Promise<number> {
  await using caller = createCaller(method, { device, values, batchSize });
  const { call } = caller;
  if (isLanguageModel(method)) {
    const tokens = data.validation.subarray(0, (watched / 4) * method.length);
    return (await languageBits(method, call, batchSize, tokens, unit)).bits;
  }
  const tokens = data.validation.subarray(0, watched * method.length);
  const block = method.units.indexOf(unit);
  return inBits((await maskedBound({ model: method, call, batchSize, tokens, key: key("watched"), block })).nats);
}

/** Sequences by which the loss of a noise level is measured. */
const levelSequences = 64;

/** The cross-entropy of a noise level on validation text; undefined for models without noise levels. */
export function lossByTextLevel(method: TextModel, data: TextDataset, options: Omit<EvaluationOptions, "seeds">): LossByLevel | undefined {
  if (!isTokenDenoiser(method)) return undefined;
  const caller = createCaller(method, options);
  const measured = overlappingText(data.validation.subarray(0, levelSequences * method.length), method.length);
  const noiseKey = key("loss by noise");
  return {
    noise: method.partition.noise,
    lossAt: (sigma, level) => {
      const measure = {
        model: method,
        call: caller.call,
        batchSize: options.batchSize,
        text: measured,
        key: fold(noiseKey, level),
      };
      return crossEntropyOfLevel(measure, sigma);
    },
    [Symbol.asyncDispose]: () => caller.dispose(),
  };
}

function isTokenDenoiser(method: TextModel): method is LanguageModel & TokenDenoiser<DenoisingLossBlock> {
  return "answering" in method;
}
