import { fold, type Key, key, uniform } from "../random.ts";
import { type TextDataset, textDataset } from "./text.ts";
import { type Tokenizer, text8Tokenizer } from "./tokenizer.ts";

type Number = "one" | "many";

/** The words of the grammar, by what they are. Verbs agree with the number of what they speak of. */
const words = {
  determiner: { one: ["a", "the", "every", "this"], many: ["the", "two", "some", "these"] },
  noun: {
    one: ["fox", "bird", "child", "king", "ship", "river", "horse", "baker"],
    many: ["foxes", "birds", "children", "kings", "ships", "rivers", "horses", "bakers"],
  },
  adjective: ["old", "small", "quiet", "red", "clever", "tired"],
  /** Of one thing: they take nothing behind them. */
  alone: { one: ["sleeps", "waits", "returns", "sings"], many: ["sleep", "wait", "return", "sing"] },
  /** They take another thing behind them. */
  towards: { one: ["sees", "follows", "knows", "remembers"], many: ["see", "follow", "know", "remember"] },
  adverb: ["again", "slowly", "at night", "by the sea"],
  between: ["and", "but", "while", "then"],
} as const;

/** How often a thing has an adjective, and a clause of its own; how often a verb takes another thing, or an adverb. */
const shares = { adjective: 0.35, clause: 0.25, towards: 0.5, adverb: 0.3 } as const;

/** Clauses stand in clauses up to so deep. */
const deepest = 2;

/** Draws choices one after another from one stream of uniform numbers. */
class Choices {
  readonly #numbers = new Float32Array(64);
  #at = 0;

  constructor(own: Key) {
    uniform(own, this.#numbers);
  }

  /** True in this share of all cases. */
  happens(share: number): boolean {
    return this.#next() < share;
  }

  of<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#next() * values.length)]!;
  }

  #next(): number {
    return this.#numbers[this.#at++ % this.#numbers.length]!;
  }
}

function thing(number: Number, depth: number, draw: Choices): string[] {
  const out: string[] = [draw.of(words.determiner[number])];
  if (draw.happens(shares.adjective)) out.push(draw.of(words.adjective));
  out.push(draw.of(words.noun[number]));
  if (depth < deepest && draw.happens(shares.clause)) out.push("that", ...clause(number, depth + 1, draw));
  return out;
}

/** What a thing does, or what another one does to it. */
function clause(number: Number, depth: number, draw: Choices): string[] {
  if (draw.happens(0.5)) return deed(number, depth, draw);
  const other = draw.of(["one", "many"] as const);
  return [...thing(other, depth, draw), draw.of(words.towards[other])];
}

function deed(number: Number, depth: number, draw: Choices): string[] {
  if (draw.happens(shares.towards)) return [draw.of(words.towards[number]), ...thing(draw.of(["one", "many"] as const), depth, draw)];
  const verb = draw.of(words.alone[number]);
  return depth === 0 && draw.happens(shares.adverb) ? [verb, draw.of(words.adverb)] : [verb];
}

function sentence(own: Key): string {
  const draw = new Choices(own);
  const number = draw.of(["one", "many"] as const);
  return [...thing(number, 0, draw), ...deed(number, 0, draw), draw.of(words.between)].join(" ");
}

export interface EmbeddedTextOptions {
  readonly seed?: number;
  /** Sentences; 8,000 have some 320,000 characters. */
  readonly sentences?: number;
  readonly tokenizer?: Tokenizer;
}

/**
 * A text that the library writes itself, of a to z and the space: sentences of a small grammar, in which a verb agrees with a noun that stands
 * before it, at times behind two clauses ("every child that two old kings see sleeps at night but"). Words are easy to spell; agreement needs context. Sentence i is
 * a function of (seed, i).
 */
export function generateEmbeddedText({ seed = 0, sentences = 8000, tokenizer = text8Tokenizer }: EmbeddedTextOptions = {}): TextDataset {
  const root = fold(key(seed), "embedded text");
  const text = Array.from({ length: sentences }, (_, i) => sentence(fold(root, i))).join(" ");
  return textDataset("embedded", text, tokenizer);
}
