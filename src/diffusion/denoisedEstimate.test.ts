import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fold, key } from "../random.ts";
import { softmaxOf } from "./categorical.ts";
import { denoisedEstimate, type EstimateKind, estimateKinds } from "./denoisedEstimate.ts";

const table = Float32Array.of(1, 0, 0, 1, -1, 0); // three classes, width 2
const through = (kind: EstimateKind, logits: readonly number[], seed = 0): number[] => [
  ...denoisedEstimate(kind, Float32Array.from(logits), table, 3, key(seed)),
];

describe("denoisedEstimate", () => {
  test("soft is the mean embedding under the softmax", () => {
    const [a, b, c] = [0.5, 1, -2].map(Math.exp);
    const sum = a! + b! + c!;
    const [x, y] = through("soft", [0.5, 1, -2]);
    expect(x).toBeCloseTo((a! - c!) / sum, 6);
    expect(y).toBeCloseTo(b! / sum, 6);
  });

  test("hard is the embedding of the best class", () => {
    expect(through("hard", [0.5, 0.6, -2])).toEqual([0, 1]);
    expect(through("hard", [3, 0.6, -2, 0, 0, 1])).toEqual([1, 0, -1, 0]);
  });

  test("sampled draws classes as often as the softmax says, from the key alone", () => {
    const probabilities = softmaxOf(Float32Array.of(0.5, 1, -0.5));
    const counts = [0, 0, 0];
    const draws = 4000;
    const rows = through("sampled", Array.from({ length: draws }, () => [0.5, 1, -0.5]).flat());
    for (let n = 0; n < draws; n++) counts[rows[2 * n + 1] === 1 ? 1 : rows[2 * n] === 1 ? 0 : 2]!++;
    for (const [k, p] of probabilities.entries())
      expect(Math.abs(counts[k]! / draws - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / draws));
    expect(through("sampled", [0, 0, 0, 0, 0, 0], 3)).toEqual(through("sampled", [0, 0, 0, 0, 0, 0], 3));
  });

  test("with a key for each row, a row does not depend on those beside it; rows without a key are 0", () => {
    const logits = Float32Array.of(0, 0.1, 0, 0.2, 0, 0, 1, 2, 3);
    const keys = [0, 1].map((row) => fold(key("rows"), row));
    const both = denoisedEstimate("sampled", logits, table, 3, keys);
    for (const [row, own] of keys.entries())
      expect(denoisedEstimate("sampled", logits.subarray(3 * row, 3 * row + 3), table, 3, [own])).toEqual(both.slice(2 * row, 2 * row + 2));
    expect([...both.subarray(4)]).toEqual([0, 0]);
  });

  test("a certain class is its embedding, by every kind of estimate", () => {
    for (const kind of estimateKinds) expect(through(kind, [0, 1000, 0])).toEqual([0, 1]);
  });

  test("every estimate lies within the hull of the embeddings", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 3, maxLength: 3 }), (logits) => {
        expect(Math.hypot(...through("soft", logits))).toBeLessThanOrEqual(1 + 1e-6);
      }),
    );
  });
});
