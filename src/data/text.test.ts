import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError, UsageError } from "../errors.ts";
import { textBatches, textDataset, unigramEntropy } from "./text.ts";
import { byteTokenizer, type Tokenizer, text8Tokenizer, tokenizerFromJson, tokenizerOf } from "./tokenizer.ts";
import { readTokens, tokensOf } from "./tokens.ts";

describe("tokenizers", () => {
  test("give every text back that they can write", () => {
    const returns = (tokenizer: Tokenizer, unit: fc.Arbitrary<string> | "grapheme"): void =>
      fc.assert(
        fc.property(fc.string({ unit }), (text) => {
          expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
        }),
      );
    returns(byteTokenizer, "grapheme");
    returns(text8Tokenizer, fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz "));
    expect([...text8Tokenizer.encode("az ")]).toEqual([0, 25, 26]);
  });

  test("a character outside the alphabet is named with its place", () => {
    expect(() => text8Tokenizer.encode("ab C")).toThrow(/"C" at character 3.*--tokenizer bytes/);
  });

  test("are made again from their JSON", () => {
    for (const tokenizer of [text8Tokenizer, byteTokenizer])
      expect(tokenizerOf(JSON.parse(JSON.stringify(tokenizer.info)))).toBe(tokenizer);
    expect(() => tokenizerFromJson({}, "other")).toThrow(DataError);
    expect(() => tokenizerFromJson({}, "other")).toThrow(/other is no tokenizer\.json/);
  });
});

test("a text in memory is divided 90 : 5 : 5", () => {
  const text = "abcdefghi ".repeat(20);
  const { name, train, validation, test: held } = textDataset("letters", text, text8Tokenizer);
  expect([name, train.length, validation.length, held.length]).toEqual(["letters", 180, 10, 10]);
  expect(text8Tokenizer.decode([...readTokens(train), ...validation, ...held])).toBe(text);
});

describe("textBatches", () => {
  const tokens = tokensOf(Int32Array.from({ length: 1000 }, (_, i) => i));

  test("windows are pieces of the text, functions of seed and step, and start everywhere", () => {
    const batches = textBatches(tokens, { length: 10, batchSize: 4, seed: 1 });
    expect(batches.stepsPerEpoch).toBe(25);
    const starts = new Set<number>();
    for (let step = 0; step < 300; step++) {
      const batch = batches.at(step);
      for (let i = 0; i < 4; i++) {
        const window = [...batch.subarray(10 * i, 10 * i + 10)];
        expect(window).toEqual(window.map((_, j) => window[0]! + j));
        starts.add(window[0]!);
      }
    }
    expect(starts.size).toBeGreaterThan(600);
    expect(Math.max(...starts)).toBeLessThanOrEqual(990);
    expect(textBatches(tokens, { length: 10, batchSize: 4, seed: 1 }).at(7)).toEqual(batches.at(7));
    expect(textBatches(tokens, { length: 10, batchSize: 4, seed: 2 }).at(7)).not.toEqual(batches.at(7));
  });

  test("a text shorter than a batch is refused", () => {
    expect(() => textBatches(tokens, { length: 300, batchSize: 4, seed: 0 })).toThrow(UsageError);
  });
});

test("unigram entropy of equally frequent tokens is ln V", () => {
  expect(
    unigramEntropy(
      Int32Array.from({ length: 80 }, (_, i) => i % 8),
      8,
    ),
  ).toBeCloseTo(Math.log(8), 12);
  expect(unigramEntropy(new Int32Array(5), 3)).toBe(0);
});
