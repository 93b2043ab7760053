import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { evaluate } from "../../test/support/evaluate.ts";
import { concat, constant, type Tensor } from "../tensor/index.ts";
import { beside, causal, everyToken, following, type KeyValue, type View } from "./view.ts";

interface Mask {
  readonly length: number;
  readonly blockSize: number;
  /** Rows see columns: noisy tokens, then clean ones. */
  readonly mask: readonly (readonly number[])[];
}

/** From the definition: noisy i sees its own group of noisy tokens and the clean groups before; clean i the clean groups up to its own. */
function definedMask(length: number, blockSize: number): Mask {
  const group = (i: number): number => Math.floor((i % length) / blockSize);
  const sees = (i: number, j: number): boolean => {
    if (i < length) return j < length ? group(i) === group(j) : group(j) < group(i);
    return j >= length && group(j) <= group(i);
  };
  const all = Array.from({ length: 2 * length }, (_, i) => i);
  return { length, blockSize, mask: all.map((i) => all.map((j) => (sees(i, j) ? 1 : 0))) };
}

const goldenPath = resolve(process.env.DBLOCKS_GOLDEN ?? "../shared/golden", "masks.json");
const golden = existsSync(goldenPath) ? (JSON.parse(readFileSync(goldenPath, "utf8")) as { masks: readonly Mask[] }).masks : [];
const cpu = await device("cpu");

const ones = (length: number, width: number): Tensor => constant(new Float32Array(length * width).fill(1), [1, length, width]);

/** Keys that are all alike, and values that name their token: number j of a sum is not 0 if the token of mark j was seen. */
function marked(length: number, firstMark: number, width: number): KeyValue {
  const values = Float32Array.from({ length: length * width }, (_, i) => (Math.floor(i / width) + firstMark === i % width ? 1 : 0));
  return { key: ones(length, width), value: constant(values, [1, length, width]) };
}

async function seen(view: View, own: KeyValue): Promise<number[][]> {
  const [, length, width] = own.key.shape as [number, number, number];
  const { sums } = await evaluate(cpu, { sums: view.attend(ones(length, width), own, { numHeads: 1 }) });
  const marks = Array.from(sums, (x) => (x > 0 ? 1 : 0));
  return Array.from({ length }, (_, i) => marks.slice(i * width, (i + 1) * width));
}

describe.each([...golden, definedMask(6, 1), definedMask(6, 3)])("length $length, groups of $blockSize", ({ length, blockSize, mask }) => {
  // What is read is the start and then the tokens: marks are `length` noisy tokens, the start, `length` clean tokens.
  const width = 2 * length + 1;

  test("estimates see their own group and what was read before it", async () => {
    const rows = await seen(beside(marked(length, length, width), blockSize), marked(length, 0, width));
    for (const [i, row] of rows.entries()) {
      expect(row[length]).toBe(1);
      expect([...row.slice(0, length), ...row.slice(length + 1)]).toEqual(mask[i]);
    }
  });

  test("what is read sees the groups up to its own", async () => {
    const rows = await seen(causal(length + 1, blockSize), marked(length + 1, length, width));
    for (const [i, row] of rows.slice(1).entries()) expect(row.slice(length + 1)).toEqual(mask[length + i]!.slice(length));
  });
});

test("behind a cache a token sees the slots that are filled, and itself", async () => {
  const past = marked(4, 1, 6);
  const view = following(past, constant(Float32Array.of(1, 1, 0, 0), [4]), constant(Int32Array.of(2), [1, 1], "int32"));
  expect(await seen(view, marked(1, 0, 6))).toEqual([[1, 1, 1, 0, 0, 0]]);
});

test("key heads serve groups of query heads: as if each were repeated", async () => {
  const [length, headWidth] = [6, 2];
  const numbers = (heads: number, seed: number): Tensor =>
    constant(
      Float32Array.from({ length: length * heads * headWidth }, (_, i) => Math.sin(seed + 1.7 * i)),
      [1, length, heads * headWidth],
    );
  const query = numbers(4, 1);
  const [k0, k1, v0, v1] = [3, 4, 7, 8].map((seed) => numbers(1, seed)) as [Tensor, Tensor, Tensor, Tensor];
  const few = { key: concat([k0, k1], 2), value: concat([v0, v1], 2) };
  const many = { key: concat([k0, k0, k1, k1], 2), value: concat([v0, v0, v1, v1], 2) };
  const views: ((own: KeyValue) => View)[] = [() => everyToken, () => causal(length), beside, (own) => beside(own, 3)];
  for (const view of views) {
    const [a, b] = [few, many].map((own) => view(own).attend(query, own, { numHeads: 4 })) as [Tensor, Tensor];
    const { one, other } = await evaluate(cpu, { one: a, other: b });
    for (const [i, x] of one.entries()) expect(x).toBeCloseTo(other[i]!, 5);
  }
});
