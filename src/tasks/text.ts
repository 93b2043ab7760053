import { z } from "zod";
import { readTokens, type TextDataset, type TextInfo, textBatches } from "../data/index.ts";
import { count, defineTask, option, type Task, type TextData } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { isLanguageModel, type TextModel, type TrainedTextModel, trainedTextModel } from "../inference/index.ts";
import { type Cell, formatNumber } from "../report/index.ts";
import { evaluateText, evaluateTextUnit, lossByTextLevel, type TextBits, type TextEvaluation } from "./evaluateText.ts";

/** Options of text besides its path. */
export const textOptions = z.strictObject({
  tokenizer: option(z.string(), {
    value: "name",
    pathUnless: ["auto", "text8", "bytes"],
    description: "text8, bytes or the path of a tokenizer.json; auto: text8 if nothing but a to z and spaces occurs, else bytes",
  }).default("auto"),
  length: option(count, { value: "tokens", description: "tokens of a sequence" }).default(128),
});

type TextOptions = z.output<typeof textOptions>;

/** Text to text: bits for each token of held-out text. */
export const text: Task<TextDataset, TextInfo, TextData, TextModel, TextEvaluation, TrainedTextModel, TextOptions> = defineTask({
  name: "text",
  samples: "sequences",
  counted: "tokens",
  countedPerSample: ({ length }) => length,
  lossUnit: "nats",
  pathDescription: "a file of UTF-8 text, a folder of .txt files, JSON lines with a text each, or embedded",
  defaultPath: "embedded",
  schema: textOptions,
  validationOf: ({ name, tokenizer, train, validation }) => ({ name, tokenizer, train, validation, test: validation }),
  infoOf: ({ name, tokenizer }) => ({ name, vocabSize: tokenizer.vocabSize, tokenizer: tokenizer.info }),
  commonInfo: { vocabSize: 27 }, // a to z and the space: text8
  shapeOf: ({ vocabSize }, { length }) => ({ vocabSize, length }),
  amountOf: ({ train, tokenizer }) => `${train.length} tokens, ${tokenizer.name}`,
  batches: (data, { length }, { batchSize, seed }) => {
    const batches = textBatches(data.train, { length, batchSize, seed });
    checkLength(data, length);
    const labels = new Int32Array(batchSize); // there are none
    return { stepsPerEpoch: batches.stepsPerEpoch, at: (index) => ({ input: batches.at(index), labels }) };
  },
  evaluateUnit: async (method, unit, data, options) => {
    if (unit.answersAlone === false) return {};
    const bits = await evaluateTextUnit(method, unit, data, options);
    return isLanguageModel(method) ? { bits } : { boundPart: bits };
  },
  evaluate: evaluateText,
  lossByLevel: lossByTextLevel,
  unitCostOf: ({ bits, boundPart }) => bits ?? boundPart,
  scoreOf: ({ bits }) => ({ title: "bits a token", value: bits, best: "min", digits: 2, hint: "an upper bound for diffusion" }),
  textOf: (evaluation) => {
    const { parts, likelihoods, uniform, unigram, tokens, perplexity, bitsPerByte } = evaluation;
    const list = Object.entries(parts).map(([name, part]) => `${part.toFixed(3)} of ${name}`);
    return [
      `${bitsText(evaluation)} bits a token on ${tokens} tokens${list.length > 0 ? ` (${list.join(", ")})` : ""}; perplexity ${perplexity.toFixed(2)}, ${bitsPerByte.toFixed(3)} bits a byte`,
      ...Object.entries(likelihoods).map(([name, one]) => `  ${name.padEnd(16)} ${bitsText(one)}`),
      `unigram entropy ${unigram.toFixed(3)}, uniform ${uniform.toFixed(3)}`,
    ].join("\n");
  },
  detailsOf: () => [],
  unitTextOf: ({ bits, boundPart }) =>
    bits === undefined
      ? `${boundPart!.toFixed(3)} bits a token of validation text, its part of the bound of all blocks`
      : `${bits.toFixed(3)} bits a token of validation text, alone`,
  sectionsOf: (evaluation) => {
    const { parts, likelihoods, uniform, unigram, tokens, perplexity, bitsPerByte } = evaluation;
    const own: Readonly<Record<string, TextBits>> = Object.keys(likelihoods).length > 0 ? likelihoods : { "this model": evaluation };
    const rows: Cell[][] = [
      ...Object.entries(own).map(([name, one]): Cell[] => [name, { text: bitsText(one), value: one.bits }]),
      ...Object.entries(parts).map(([name, part]): Cell[] => [`of these ${name}`, formatNumber(part)]),
      ["unigram entropy", formatNumber(unigram)],
      ["uniform", formatNumber(uniform)],
    ];
    return [
      {
        heading: "Bits for each token of held-out text",
        paragraphs: [
          `−log₂ p over ${tokens} tokens; the first line is a perplexity of ${perplexity.toFixed(2)} and ${bitsPerByte.toFixed(3)} bits for each byte. "At most" stands before a bound, ± before its standard error.`,
        ],
        table: { columns: ["model", { title: "bits", align: "right" }], rows },
      },
    ];
  },
  dataSection: ({ name, tokenizer, train, validation, test }) => {
    const sizes = `${name}: ${train.length} tokens for training, ${validation.length} for validation, ${test.length} for tests; ${tokenizer.name}, ${tokenizer.vocabSize} symbols.`;
    return { heading: "Data", paragraphs: [sizes, `${tokenizer.decode(readTokens(train, 0, Math.min(400, train.length)))} …`] };
  },
  samplesSection: async (model) => {
    const texts = await model.sample({ count: 3 });
    return {
      heading: "Samples",
      paragraphs: ["Drawn from seed 0, without a prompt, at temperature 1:", ...texts.map((one) => `“${one}”`)],
    };
  },
  trained: (method, info, use) => trainedTextModel(method, info, use),
  curves: [
    { metric: "validation/bits", title: "Bits for each token of validation text, by each block alone", label: "bits" },
    { metric: "validation/boundPart", title: "Bits for each token of validation text: the part of each block in the bound", label: "bits" },
  ],
});

/** "1.234", or "at most 1.234 ± 0.056". */
export function bitsText({ bits, error, kind }: TextBits): string {
  const value = error === undefined ? bits.toFixed(3) : `${bits.toFixed(3)} ± ${error.toFixed(3)}`;
  return kind === "bound" ? `at most ${value}` : value;
}

function checkLength({ test, validation }: TextDataset, length: number): void {
  const tokens = Math.min(test.length, validation.length);
  if (tokens >= length) return;
  const message = `The text leaves ${tokens} tokens for validation or tests, fewer than a sequence of ${length}. Lower --length, or give more text.`;
  throw new UsageError("textTooShort", { tokens, length }, message);
}
