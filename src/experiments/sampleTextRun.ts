import { type MaskedText, sampleText, type TextSampling, type TokenDraw } from "../blocks/index.ts";
import type { Tokenizer } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { fold, type Key, key } from "../random.ts";
import { openDevice } from "../runtime/index.ts";
import { type CallProgram, createCaller, type LanguageModel } from "../train/index.ts";
import { continueTexts } from "./continueTexts.ts";
import { isLanguageModel } from "./evaluateText.ts";
import type { RunConfig } from "./runConfig.ts";
import { loadParameters, openTrainedRun } from "./trainedRun.ts";

/** How a text is drawn; steps and grid are for masked diffusion. */
export type TextDraw = TokenDraw & Partial<Pick<TextSampling, "numSteps" | "grid">>;

export interface SampleTextRunOptions {
  readonly path: string;
  readonly count: number;
  /** How every text begins. */
  readonly prompt?: string | undefined;
  /** Tokens after the prompt, of a language model: 50, or as many as a sequence has room for. */
  readonly tokens?: number | undefined;
  /** A text of a language model ends before the first of these. */
  readonly stop?: readonly string[] | undefined;
  readonly seed?: number;
  readonly sampling?: TextDraw;
  /** How many texts are drawn together. */
  readonly batchSize?: number;
  readonly device?: RunConfig["execution"]["device"] | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Of texts that are drawn one by one: what was added, as tokens appear. */
  readonly onPiece?: ((piece: string) => void) | undefined;
  /** Whole texts, in order, with the prompt. */
  readonly onText: (text: string, tokens: Int32Array) => void;
}

/**
 * Draws texts: of a masked diffusion model whole sequences, of a language model token by token. Text i of a seed is the same in any count and batch.
 *
 * @returns how many were drawn.
 * @throws {UsageError} if the run makes no text, or prompt and tokens are more than a sequence holds. {DataError} if the tokenizer cannot write the prompt.
 */
export async function sampleTextRun(options: SampleTextRunOptions): Promise<number> {
  const { path, count, prompt = "", seed = 0, batchSize = 8, signal } = options;
  const run = await openTrainedRun(path);
  const { task, config } = run;
  if (task.kind !== "text") throw new UsageError("noText", { model: config.model }, `${path} is a ${config.model}, which makes no text.`);
  const { method, data } = task;
  const known = data.tokenizer.encode(prompt);
  const write = writerOf(method, data.tokenizer, known, options);
  const threads = options.threads ?? config.execution.threads;
  const device = await openDevice(options.device ?? config.execution.device, threads === undefined ? {} : { threads });
  try {
    const parameters = await loadParameters(run);
    await using caller = createCaller(method, { device, values: (name) => parameters.get(name)!, batchSize });
    let done = 0;
    while (done < count && !signal?.aborted) {
      const keys = Array.from({ length: Math.min(batchSize, count - done) }, (_, i) => fold(fold(key(seed), "text"), done + i));
      for (const tokens of await write(caller.call, batchSize, keys)) options.onText(data.tokenizer.decode(tokens), tokens);
      done += keys.length;
    }
    return done;
  } finally {
    await device.dispose();
  }
}

/** Draws a text for each key. */
type Write = (call: CallProgram, batchSize: number, keys: readonly Key[]) => Promise<readonly Int32Array[]>;

function writerOf(method: MaskedText | LanguageModel, tokenizer: Tokenizer, prompt: Int32Array, options: SampleTextRunOptions): Write {
  const length = isLanguageModel(method) ? method.length : method.architecture.length;
  const asked = prompt.length + (isLanguageModel(method) ? (options.tokens ?? 0) : 0);
  if (asked > length || (isLanguageModel(method) && prompt.length === length)) {
    const what =
      prompt.length >= length ? `--prompt: ${prompt.length} tokens` : `--prompt and --tokens: ${prompt.length} + ${options.tokens} tokens`;
    const message = `${what} are more than there is room for in a sequence of ${length}. Shorten them, or train with a larger --length.`;
    throw new UsageError("promptTooLong", { prompt: prompt.length, tokens: options.tokens, length }, message);
  }
  if (isLanguageModel(method))
    return tokenByToken(method, tokenizer, prompt, { ...options, tokens: options.tokens ?? Math.min(50, length - prompt.length) });
  const sampling: TextSampling = { numSteps: length, grid: "cosine", temperature: 1, ...options.sampling };
  return async (call, batchSize, keys) => {
    const tokens = await sampleText({ method, call, batchSize, keys, prompt, sampling });
    return keys.map((_, i) => tokens.slice(i * length, (i + 1) * length));
  };
}

function tokenByToken(
  method: LanguageModel,
  tokenizer: Tokenizer,
  prompt: Int32Array,
  { tokens, stop = [], sampling = { temperature: 1 }, onPiece, signal }: SampleTextRunOptions & { readonly tokens: number },
): Write {
  return async (call, batchSize, keys) => {
    const texts = keys.map(() => [...prompt]);
    let shown = "";
    const onToken = (i: number): boolean => {
      const isOver = withoutStop(texts[i]!, prompt.length, tokenizer, stop);
      if (onPiece && keys.length === 1) {
        const whole = tokenizer.decode(texts[0]!);
        if (!whole.endsWith("\uFFFD")) {
          onPiece(whole.slice(shown.length));
          shown = whole;
        }
      }
      return isOver;
    };
    await continueTexts({ method, call, batchSize, keys, texts, length: prompt.length + tokens, sampling, signal, onToken });
    return texts.map((text) => Int32Array.from(text));
  };
}

/** Takes off the text's end from the first stop string on; whether there was one. */
function withoutStop(text: number[], promptLength: number, tokenizer: Tokenizer, stop: readonly string[]): boolean {
  if (stop.length === 0) return false;
  const added = (): string => tokenizer.decode(text.slice(promptLength));
  const places = stop.map((end) => added().indexOf(end)).filter((at) => at >= 0);
  if (places.length === 0) return false;
  const end = Math.min(...places);
  while (text.length > promptLength && added().length > end) text.pop();
  return true;
}
