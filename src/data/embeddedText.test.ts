import { expect, test } from "vitest";
import { generateEmbeddedText } from "./embeddedText.ts";
import { byteTokenizer } from "./tokenizer.ts";
import { readTokens } from "./tokens.ts";

/** Words that stand in the first so many sentences. */
function wordsOf(sentences: number, seed = 0): readonly string[] {
  const { tokenizer, train, validation, test: last } = generateEmbeddedText({ sentences, seed });
  const parts = [readTokens(train), validation, last].map((part) => tokenizer.decode(part));
  return parts.join("").split(" ");
}

test("sentences are a function of the seed and their number", () => {
  const few = wordsOf(50);
  expect(wordsOf(200).slice(0, few.length)).toEqual(few);
  expect(wordsOf(50, 1).slice(0, 20)).not.toEqual(few.slice(0, 20));
  expect(few.slice(0, 10).join(" ")).toBe("the small baker knows the bird that the foxes follow");
});

const nouns = /^(fox|bird|child|king|ship|river|horse|baker)(e?s|ren)?$/;
const verbs = /^(sleep|wait|return|sing|see|follow|know|remember)(s?)$/;

/** Reads a sentence's first thing with its clauses. @returns where the verb behind it stands. */
function placeOfVerb(sentence: readonly string[]): number {
  let at = 0;
  const past = (kind: RegExp): string => {
    while (at < sentence.length && !kind.test(sentence[at]!)) at++;
    return sentence[at++] ?? "";
  };
  const thing = (): void => {
    past(nouns);
    if (sentence[at] !== "that") return;
    at++;
    if (verbs.test(sentence[at] ?? "")) deed();
    else {
      thing(); // "that two birds see"
      past(verbs);
    }
  };
  const deed = (): void => {
    if (/^(see|follow|know|remember)/.test(past(verbs))) thing();
  };
  thing();
  return at;
}

test("verbs agree with the noun that they speak of, over clauses between them", () => {
  const places: number[] = [];
  for (const sentence of wordsOf(400)
    .join(" ")
    .split(/ (?:and|but|while|then)(?: |$)/)) {
    const words = sentence.split(" ");
    const noun = words.find((word) => nouns.test(word));
    if (noun === undefined) continue; // behind the last sentence
    const place = placeOfVerb(words);
    const [, , ending] = verbs.exec(words[place]!)!;
    expect([sentence, ending === ""]).toEqual([sentence, /(s|children)$/.test(noun)]);
    places.push(place);
  }
  expect(places).toHaveLength(400);
  expect(places.filter((place) => place > 5).length).toBeGreaterThan(40);
});

test("it is written in any tokenizer", () => {
  const { tokenizer, train } = generateEmbeddedText({ sentences: 40, tokenizer: byteTokenizer });
  expect(tokenizer.decode(readTokens(train, 0, 9))).toBe("the small");
});
