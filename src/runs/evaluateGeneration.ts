import { type TextDataset, type TextInfo, tokenizerOf } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { distinct, type FeatureMauve, mauve, selfBleu } from "../eval/index.ts";
import { checkDraw, continueTexts, isLanguageModel, type TokenDraw } from "../inference/index.ts";
import { fold, integer, key } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { createCaller, type LanguageModel } from "../train/index.ts";
import { textFeatures } from "./textFeatures.ts";
import { type DeviceChoice, evaluationData, loadParameters, type TrainedRun } from "./trainedRun.ts";

export interface GenerationOptions extends DeviceChoice {
  /** Prompts, each of a place of the test text of its own. */
  readonly texts: number;
  /** Continuations of each for MAUVE, 1 by default; all other measures are of the first ones. */
  readonly continuations?: number | undefined;
  /** Tokens that are drawn; half a sequence by default. */
  readonly newTokens?: number | undefined;
  /** Whether MAUVE is measured, by the features of the teacher. */
  readonly mauve?: boolean | undefined;
  /** Another language model with the same tokenizer, that judges them. */
  readonly teacher?: TrainedRun | undefined;
  /** See {@link evaluationData}; the run's own by default. */
  readonly data?: TextDataset;
  readonly sampling?: TokenDraw;
  readonly seed?: number;
}

/** A measure of what was drawn, and of the true continuations of the same prompts. */
export interface DrawnAndReal {
  readonly drawn: number;
  readonly real: number;
}

/** The quality of continuations of held-out text, beside the true ones. */
export interface GenerationQuality {
  readonly texts: number;
  readonly promptTokens: number;
  readonly tokens: number;
  /** Shares of different tokens, pairs and triples. */
  readonly distinctShares: readonly DrawnAndReal[];
  /** How much the continuations repeat each other: see {@link selfBleu}. */
  readonly selfBleu: DrawnAndReal;
  /** exp of the teacher's mean −ln p over the continuations' tokens, given the prompts. */
  readonly generativePerplexity?: DrawnAndReal;
  /** Of all continuations against the true ones, each with its prompt, by the features of the teacher. */
  readonly mauve?: FeatureMauve & { readonly continuations: number };
  readonly millisecondsPerToken: number;
}

/**
 * Continues pieces of the test text: half a sequence is the prompt, half is drawn, if nothing else is said.
 *
 * @throws {UsageError} if the run, or its teacher, is no language model, they have different tokenizers, or a sequence has no room for the
 *   new tokens; for MAUVE if there is no teacher, or it was not trained end to end.
 */
export async function evaluateGeneration(
  run: TrainedRun,
  { texts, teacher, sampling = { temperature: 1 }, seed = 0, data: given, ...options }: GenerationOptions,
): Promise<GenerationQuality> {
  checkDraw(sampling);
  const own = languageRun(run);
  const judge = teacher && languageRun(teacher);
  if (judge !== undefined) checkTokenizers(own, judge);
  const { method } = own;
  const data = given ?? ((await evaluationData(run)) as TextDataset);
  const length = Math.min(method.length, judge?.method.length ?? method.length);
  const { continuations: copies = 1, newTokens = Math.ceil(length / 2) } = options;
  if (newTokens >= length) {
    const message = `--new-tokens ${newTokens}: a sequence has ${length} tokens, and a prompt needs one. Give ${length - 1} at most.`;
    throw new UsageError("newTokens", { newTokens, length }, message);
  }
  const promptTokens = length - newTokens;
  const places = Array.from({ length: texts }, (_, i) =>
    integer(fold(fold(key(seed), "place"), i), Math.max(1, data.test.length - length)),
  );
  const real = places.map((place) => data.test.slice(place, place + length));
  await using device = await openDevice(options.device ?? "auto", { threads: options.threads });
  const started = performance.now();
  const prompts = real.map((text) => text.subarray(0, promptTokens));
  const all = await continuations(own, device, { prompts: Array(copies).fill(prompts).flat(), length, sampling, seed });
  const drawn = all.slice(0, texts);
  const millisecondsPerToken = (performance.now() - started) / (copies * texts * length);
  const ends = (all: readonly Int32Array[]): Int32Array[] => all.map((text) => text.subarray(promptTokens));
  const ofBoth = (measure: (texts: readonly Int32Array[]) => number): DrawnAndReal => ({
    drawn: measure(ends(drawn)),
    real: measure(ends(real)),
  });
  const perplexityOf = async (all: readonly Int32Array[]): Promise<number> => Math.exp(await natsUnder(judge!, device, all, promptTokens));
  return {
    texts,
    promptTokens,
    tokens: length - promptTokens,
    distinctShares: [1, 2, 3].map((n) => ofBoth((all) => distinct(all, n))),
    selfBleu: ofBoth(selfBleu),
    ...(judge && { generativePerplexity: { drawn: await perplexityOf(drawn), real: await perplexityOf(real) } }),
    ...(options.mauve && { mauve: { ...(await mauveOf(teacher, device, { real, drawn: all })), continuations: copies } }),
    millisecondsPerToken,
  };
}

interface ComparedTexts {
  readonly real: readonly Int32Array[];
  readonly drawn: readonly Int32Array[];
}

async function mauveOf(teacher: TrainedRun | undefined, device: Device, { real, drawn }: ComparedTexts): Promise<FeatureMauve> {
  if (teacher === undefined) {
    throw new UsageError("noTeacher", {}, "--mauve compares texts by the features of another language model: name its run with --teacher.");
  }
  return mauve(await textFeatures(teacher, device, real), await textFeatures(teacher, device, drawn));
}

interface LanguageRun {
  readonly run: TrainedRun;
  readonly method: LanguageModel;
}

function languageRun(run: TrainedRun): LanguageRun {
  const { method, config, folder } = run;
  if (isLanguageModel(method)) return { run, method };
  throw new UsageError(
    "noLanguageModel",
    { model: config.model.name },
    `${folder.path} is a ${config.model.name}; what continues a text is an autoregressive or recurrent-depth model.`,
  );
}

function checkTokenizers({ run }: LanguageRun, judge: LanguageRun): void {
  const tokenizer = tokenizerOf((run.info as TextInfo).tokenizer);
  const other = tokenizerOf((judge.run.info as TextInfo).tokenizer);
  if (other.name === tokenizer.name && other.vocabSize === tokenizer.vocabSize) return;
  const teacher = judge.run.folder.path;
  const message = `--teacher ${teacher}: its tokenizer is ${other.name}, that of ${run.folder.path} ${tokenizer.name}. Give a run with the same one.`;
  throw new UsageError("otherTokenizer", { teacher }, message);
}

const batchSize = 16;

interface ContinuedText {
  readonly prompts: readonly Int32Array[];
  readonly length: number;
  readonly sampling: TokenDraw;
  readonly seed: number;
}

async function continuations(
  { run, method }: LanguageRun,
  device: Device,
  { prompts, length, sampling, seed }: ContinuedText,
): Promise<Int32Array[]> {
  await using caller = createCaller(method, { device, values: await loadParameters(run), batchSize });
  const texts: Int32Array[] = [];
  for (let first = 0; first < prompts.length; first += batchSize) {
    const own = prompts.slice(first, first + batchSize).map((prompt) => [...prompt]);
    const keys = own.map((_, i) => fold(fold(key(seed), "continuation"), first + i));
    await continueTexts({ method, call: caller.call, batchSize, keys, texts: own, length, sampling });
    texts.push(...own.map((text) => Int32Array.from(text)));
  }
  return texts;
}

/**
 * Mean −ln p of the tokens behind the prompts. Texts shorter than the judge's sequences are filled up behind their
 * end, where nothing is counted.
 */
async function natsUnder(
  { run, method }: LanguageRun,
  device: Device,
  texts: readonly Int32Array[],
  promptTokens: number,
): Promise<number> {
  await using caller = createCaller(method, { device, values: await loadParameters(run), batchSize });
  const tokens = new Int32Array(texts.length * method.length);
  for (const [i, text] of texts.entries()) tokens.set(text, i * method.length);
  const text = { tokens, count: texts.length, from: () => promptTokens, to: texts[0]!.length };
  return Object.values(await method.likelihoods(caller.call, batchSize, text, key("teacher")))[0]!.nats;
}
