import { expect, test } from "vitest";
import { mayExplode } from "./pattern.ts";
import { tokenizerFromJson } from "./tokenizer.ts";

test.each([
  ["GPT-2", String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`],
  [
    "Llama 3",
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  [
    "o200k",
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|\s+`,
  ],
  ["BLOOM", " ?[^(\\s|[.,!?…。，、।۔،])]+"],
  ["an escaped group", String.raw`\(a+\)+`],
  ["a bounded repetition", "(?:a+){2}"],
])("the pattern of %s is taken", (_, source) => expect(mayExplode(source)).toBe(false));

test.each(["(a+)+$", "(a*)*b", "(?:a|a)*b", "(x+x+)+y", "((a+)b?)*c", "([a-z]+){1,}!", "(?:(?:a|b)c?)+d"])("%s is refused", (source) => {
  expect(mayExplode(source)).toBe(true);
  const json = {
    model: { type: "WordLevel", vocab: { a: 0 }, unk_token: "a" },
    added_tokens: [],
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Split", pattern: { Regex: source }, behavior: "Isolated" }] },
  };
  expect(() => tokenizerFromJson(json, "hostile")).toThrow(/hostile is no tokenizer\.json: its pattern .* may take time without bound/);
});
