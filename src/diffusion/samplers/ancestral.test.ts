import { describe, expect, test } from "vitest";
import { fold, key } from "../../random.ts";
import { keptShare } from "../masking.ts";
import { type MaskingGrid, maskingTimes } from "../schedule.ts";
import { ancestral, reverse } from "./index.ts";

const [vocabSize, length, batch] = [3, 400, 4];
const keys = Array.from({ length: batch }, (_, i) => fold(key("text"), i));
const masked = (): Int32Array => new Int32Array(batch * length).fill(vocabSize);
/** Always token 1, by drawing; token 2 is the likeliest. */
const logits = (): Float32Array => Float32Array.from({ length: batch * length * vocabSize }, (_, i) => i % vocabSize);
const sampler = (own = keys) => ancestral({ schedule: "linear", length, vocabSize, keys: own, draw: () => 1 });
const share = (tokens: Int32Array, token: number): number => tokens.filter((own) => own === token).length / tokens.length;

test.each(["uniform", "cosine"] as MaskingGrid[])("the %s grid has as many times as steps, descending from 1, and then 0", (grid) => {
  const times = maskingTimes(grid, 5);
  expect(times).toHaveLength(6);
  expect([times[0], times[5]]).toEqual([1, 0]);
  for (const [i, t] of times.slice(1).entries()) expect(t).toBeLessThan(times[i]!);
});

describe("ancestral sampling", () => {
  test("at each time the masked share is that of the schedule; revealed tokens stay; the rest become the likeliest", async () => {
    const shares: number[] = [];
    let before = masked();
    const end = await reverse(masked(), {
      sampler: sampler(),
      levels: maskingTimes("uniform", 8),
      estimate: logits,
      onStep: ({ reached, next }) => {
        for (const [i, token] of before.entries()) if (token !== vocabSize) expect(reached[i]).toBe(token);
        before = reached;
        if (next > 0) shares.push(share(reached, vocabSize) / (1 - keptShare("linear", next)));
      },
    });
    for (const ratio of shares) expect(Math.abs(ratio - 1)).toBeLessThan(0.25);
    expect(share(end, vocabSize)).toBe(0);
    expect(share(end, 2)).toBeGreaterThan(0);
    expect(share(end, 1) + share(end, 2)).toBe(1);
  });

  test("a sequence derives from its key alone, and one without a key stays masked", async () => {
    const options = { levels: maskingTimes("cosine", 6), estimate: logits };
    const all = await reverse(masked(), { ...options, sampler: sampler() });
    const some = await reverse(masked(), { ...options, sampler: sampler(keys.slice(1, 2)) });
    expect(some.subarray(0, length)).toEqual(all.subarray(length, 2 * length));
    expect(share(some.subarray(length), vocabSize)).toBe(1);
  });
});
