import { type TextInfo, type Tokenizer, tokenizerOf } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { fold, type Key, key } from "../random.ts";
import { type Call, createCaller, type LanguageModel, type Likelihood, type TrainingMethod } from "../train/index.ts";
import type { MaskedTextModel } from "./answers.ts";
import { continueTexts } from "./continueTexts.ts";
import { checkDraw, type TokenDraw } from "./drawToken.ts";
import { overlappingText } from "./likelihood.ts";
import { maskedBound } from "./maskedBound.ts";
import { drawMaskedText, type MaskedTextSampling, type RevealStep } from "./maskedText.ts";
import { disposing, type TrainedModel, type TrainedUse } from "./trainedModel.ts";

/** Options of drawing a text; steps and grid are for masked diffusion. */
export type TextDraw = TokenDraw & Partial<Pick<MaskedTextSampling, "numSteps" | "grid">>;

export interface TextSampleOptions {
  readonly count: number;
  /** The beginning of every text. */
  readonly prompt?: string | undefined;
  /** Tokens after the prompt, of a language model: 50 by default, or as many as a sequence has room for. */
  readonly tokens?: number | undefined;
  /** A text of a language model ends before the first of these. */
  readonly stop?: readonly string[] | undefined;
  readonly seed?: number;
  readonly sampling?: TextDraw;
  readonly signal?: AbortSignal | undefined;
  /** Of texts that are drawn one by one: called with what was added, as tokens appear. */
  readonly onPiece?: ((piece: string) => void) | undefined;
  /** Of a masked diffusion model: called after each step with the texts of a batch as far as they are revealed. */
  readonly onReveal?: ((step: RevealStep) => void) | undefined;
  /** Called with each whole text, in order, with the prompt. */
  readonly onText?: (text: string, tokens: Int32Array) => void;
}

/** Of a text: the mean of −ln p over its tokens, and in bits. */
export interface TextLikelihood extends Likelihood {
  readonly name: string;
  readonly bits: number;
  readonly bitsPerByte: number;
  readonly tokens: number;
}

/** A trained model of text as a value. */
export interface TrainedTextModel extends TrainedModel {
  readonly info: TextInfo;
  readonly tokenizer: Tokenizer;
  /**
   * Draws texts: of a masked diffusion model whole sequences, of a language model token by token. Text i of a seed
   * is the same in any count and batch.
   *
   * @returns the texts, with the prompt.
   * @throws {UsageError} if prompt and tokens are more than a sequence holds. {DataError} if the tokenizer cannot write the prompt.
   */
  sample(options: TextSampleOptions): Promise<readonly string[]>;
  /**
   * The likelihood of a text: exact of a language model, a bound of a masked diffusion model.
   *
   * @throws {UsageError} if a masked diffusion model is given less than a sequence. {DataError} if the tokenizer cannot write the text.
   */
  logLikelihood(text: string): Promise<TextLikelihood>;
}

/** A method whose network writes text: masked tokens, or the next one. */
export type TextModel = (TrainingMethod & MaskedTextModel) | LanguageModel;

/** Wraps a trained method and its parameters. */
export function trainedTextModel(method: TextModel, info: TextInfo, use: TrainedUse): TrainedTextModel {
  const { batchSize = 8 } = use;
  const tokenizer = tokenizerOf(info.tokenizer);
  const caller = createCaller(method, { ...use, batchSize });
  return {
    info,
    tokenizer,
    sample: async (options) => {
      const { count, prompt = "", seed = 0, signal, onText } = options;
      checkDraw({ temperature: 1, ...options.sampling });
      const write = writerOf(method, tokenizer, tokenizer.encode(prompt), options);
      const texts: string[] = [];
      while (texts.length < count && !signal?.aborted) {
        const first = texts.length;
        const keys = Array.from({ length: Math.min(batchSize, count - first) }, (_, i) => fold(fold(key(seed), "text"), first + i));
        for (const { tokens, tail = "" } of await write(caller.call, batchSize, keys)) {
          texts.push(tokenizer.decode(tokens) + tail);
          onText?.(texts.at(-1)!, tokens);
        }
      }
      return texts;
    },
    logLikelihood: async (text) => {
      const tokens = tokenizer.encode(text);
      if (tokens.length === 0) throw new UsageError("emptyText", {}, "The text is empty: there is nothing to measure.");
      const [name, likelihood] = await measured(method, caller.call, batchSize, tokens);
      const bits = likelihood.nats / Math.LN2;
      const bytes = new TextEncoder().encode(text).length;
      return { name, ...likelihood, bits, bitsPerByte: (bits * tokens.length) / bytes, tokens: tokens.length };
    },
    ...disposing(caller, use),
  };
}

async function measured(method: TextModel, call: Call, batchSize: number, tokens: Int32Array): Promise<readonly [string, Likelihood]> {
  if (isLanguageModel(method))
    return Object.entries(await method.likelihoods(call, batchSize, overlappingText(tokens, method.length), key("likelihood")))[0]!;
  const { length } = method;
  if (tokens.length < length) {
    const message = `A masked diffusion model measures whole sequences of ${length} tokens; this text has ${tokens.length}. Give a longer text.`;
    throw new UsageError("textTooShort", { tokens: tokens.length, length }, message);
  }
  const { nats, error } = await maskedBound({ model: method, call, batchSize, tokens, key: key("bound") });
  return ["bound", { nats, error, kind: "bound" }];
}

/** Whether a model writes token by token. */
export function isLanguageModel(method: TrainingMethod): method is LanguageModel {
  return "likelihoods" in method;
}

/** A text that was drawn. */
interface Written {
  readonly tokens: Int32Array;
  /** Characters before a stop string that share a token with it. */
  readonly tail?: string | undefined;
}

/** Draws a text for each key. */
type Write = (call: Call, batchSize: number, keys: readonly Key[]) => Promise<readonly Written[]>;

function writerOf(method: TextModel, tokenizer: Tokenizer, prompt: Int32Array, options: TextSampleOptions): Write {
  const { length } = method;
  const asked = prompt.length + (isLanguageModel(method) ? (options.tokens ?? 0) : 0);
  if (asked > length || (isLanguageModel(method) && prompt.length === length)) {
    const what =
      prompt.length >= length ? `--prompt: ${prompt.length} tokens` : `--prompt and --tokens: ${prompt.length} + ${options.tokens} tokens`;
    const message = `${what} are more than there is room for in a sequence of ${length}. Shorten them, or train with a larger --length.`;
    throw new UsageError("promptTooLong", { prompt: prompt.length, tokens: options.tokens, length }, message);
  }
  if (isLanguageModel(method))
    return tokenByToken(method, tokenizer, prompt, { ...options, tokens: options.tokens ?? Math.min(50, length - prompt.length) });
  const sampling: MaskedTextSampling = { numSteps: length, grid: "cosine", temperature: 1, ...options.sampling };
  return async (call, batchSize, keys) => {
    const tokens = await drawMaskedText({
      model: method,
      call,
      batchSize,
      keys,
      prompt,
      sampling,
      onStep: (step) => options.onReveal?.(step),
    });
    return keys.map((_, i) => ({ tokens: tokens.slice(i * length, (i + 1) * length) }));
  };
}

function tokenByToken(
  method: LanguageModel,
  tokenizer: Tokenizer,
  prompt: Int32Array,
  { tokens, stop = [], sampling = { temperature: 1 }, onPiece, signal }: TextSampleOptions & { readonly tokens: number },
): Write {
  return async (call, batchSize, keys) => {
    const texts = keys.map(() => [...prompt]);
    const tails = keys.map((): string | undefined => undefined);
    let shown = "";
    const onToken = (i: number): boolean => {
      tails[i] = withoutStop(texts[i]!, prompt.length, tokenizer, stop);
      const isOver = tails[i] !== undefined;
      if (onPiece && keys.length === 1) {
        const whole = tokenizer.decode(texts[0]!) + (tails[0] ?? "");
        if (!whole.endsWith("\uFFFD")) {
          const safe = isOver ? whole : whole.slice(0, whole.length - heldBack(whole, stop));
          if (safe.length > shown.length) onPiece(safe.slice(shown.length));
          shown = safe.length > shown.length ? safe : shown;
        }
      }
      return isOver;
    };
    await continueTexts({ method, call, batchSize, keys, texts, length: prompt.length + tokens, sampling, signal, onToken });
    return texts.map((text, i) => ({ tokens: Int32Array.from(text), tail: tails[i] }));
  };
}

/** Characters at the end of a text that may turn out to begin a stop string: they are not shown yet. */
function heldBack(text: string, stop: readonly string[]): number {
  const begins = (end: string): number => {
    for (let length = Math.min(end.length - 1, text.length); length > 0; length--) if (text.endsWith(end.slice(0, length))) return length;
    return 0;
  };
  return stop.reduce((most, end) => Math.max(most, begins(end)), 0);
}

/**
 * Takes off the tokens of a text from the first stop string on.
 *
 * @returns the characters before it that share a token with it; undefined if there is no stop string.
 */
function withoutStop(text: number[], promptLength: number, tokenizer: Tokenizer, stop: readonly string[]): string | undefined {
  if (stop.length === 0) return undefined;
  const added = (): string => tokenizer.decode(text.slice(promptLength));
  const whole = added();
  const places = stop.map((end) => whole.indexOf(end)).filter((at) => at >= 0);
  if (places.length === 0) return undefined;
  const kept = whole.slice(0, Math.min(...places));
  while (text.length > promptLength && !kept.startsWith(added())) text.pop();
  return kept.slice(added().length);
}
