import { expect, test } from "vitest";
import { key, uniformAt } from "../random.ts";
import { checkDraw, drawToken, type TokenDraw } from "./drawToken.ts";

const probabilities = [0.5, 0.05, 0.3, 0.15];
const logits = Float32Array.from(probabilities, Math.log);

function shares(how: TokenDraw): number[] {
  const counts = new Array<number>(4).fill(0);
  for (let i = 0; i < 20_000; i++) counts[drawToken(logits, how, uniformAt(key("draws"), i))]!++;
  return counts.map((count) => count / 20_000);
}

test.each<readonly [string, TokenDraw, readonly number[]]>([
  ["as they are", { temperature: 1 }, probabilities],
  ["at temperature 1/2 by their squares", { temperature: 0.5 }, probabilities.map((p) => p ** 2 / 0.365)],
  ["at temperature 0 the likeliest", { temperature: 0 }, [1, 0, 0, 0]],
  ["the two likeliest", { temperature: 1, topK: 2 }, [5 / 8, 0, 3 / 8, 0]],
  ["the nucleus of 0.6", { temperature: 1, topP: 0.6 }, [5 / 8, 0, 3 / 8, 0]],
  ["a nucleus that one token fills", { temperature: 1, topP: 0.1 }, [1, 0, 0, 0]],
  ["the nucleus among the three likeliest", { temperature: 1, topK: 3, topP: 0.8 }, [5 / 8, 0, 3 / 8, 0]],
])("tokens are drawn %s", (_, how, expected) => {
  for (const [token, share] of shares(how).entries()) expect(Math.abs(share - expected[token]!)).toBeLessThan(0.015);
});

test.each([
  [{ temperature: -1 }, /--temperature -1/],
  [{ temperature: Number.NaN }, /--temperature NaN/],
  [{ temperature: 1, topK: 0 }, /--top-k 0/],
  [{ temperature: 1, topK: 1.5 }, /--top-k 1\.5/],
  [{ temperature: 1, topP: 0 }, /--top-p 0: .*--temperature 0 takes the likeliest/],
  [{ temperature: 1, topP: 1.01 }, /--top-p 1\.01/],
] as readonly (readonly [TokenDraw, RegExp])[])("%j is out of range", (draw, message) => {
  expect(() => checkDraw(draw)).toThrow(message);
});
