import { expect, test } from "vitest";
import { selfBleu } from "./selfBleu.ts";

test("equal texts give 1; texts without a common token little; fewer than two none", () => {
  const text = [1, 2, 3, 4, 5, 6];
  expect(selfBleu([text, text, text])).toBeCloseTo(1, 12);
  expect(selfBleu([text, text.map((x) => x + 10)])).toBeLessThan(0.05);
  expect(selfBleu([text])).toBeNaN();
});

// nltk 3.8: sentence_bleu([references], text, weights=(0.5, 0.5), smoothing_function=SmoothingFunction().method1), by hand here:
// "1 2 3 4" against "1 2 3 5" and "1 9 9": unigrams 3/4, pairs 2/3; "1 2 3 5": the same; "1 9 9": 1/3, pairs 0.1/2, nearest length 4.
test("agrees with BLEU-2 that was counted by hand", () => {
  const texts = [
    [1, 2, 3, 4],
    [1, 2, 3, 5],
    [1, 9, 9],
  ];
  const pair = Math.sqrt((3 / 4) * (2 / 3));
  const last = Math.sqrt((1 / 3) * (0.1 / 2)) * Math.exp(1 - 4 / 3);
  expect(selfBleu(texts, 2)).toBeCloseTo((pair + pair + last) / 3, 12);
});

test("a count is clipped by the largest of another text, not by a text's own", () => {
  // "7 7 7" against "7 8": one 7 of three matches.
  expect(
    selfBleu(
      [
        [7, 7, 7],
        [7, 8],
      ],
      1,
    ),
  ).toBeCloseTo((1 / 3 + (1 / 2) * Math.exp(1 - 3 / 2)) / 2, 12);
});
