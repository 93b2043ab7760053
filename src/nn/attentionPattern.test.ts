import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { evaluate } from "../../test/support/evaluate.ts";
import { add, attention, cast, concat, constant, grad, greater, mean, mul, sizeOf, slice, type Tensor } from "../tensor/index.ts";
import { selfAttention } from "./attention.ts";
import {
  type AttentionLayer,
  type AttentionPattern,
  attentionLayers,
  cachedAttention,
  fullAttention,
  type KeyValue,
  type PatternOf,
  recorded,
} from "./attentionPattern.ts";
import { causalAttention } from "./causalAttention.ts";
import { plainContext } from "./context.ts";
import { estimateAttention } from "./estimateAttention.ts";
import { defineModule, namedParameters } from "./module.ts";

interface Mask {
  readonly length: number;
  readonly blockSize: number;
  /** Rows see columns: noisy tokens, then clean ones. */
  readonly mask: readonly (readonly number[])[];
}

/**
 * From the definition: noisy i sees its own group of noisy tokens and the clean groups before; clean i the clean
 * groups up to its own.
 */
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

async function seen(pattern: AttentionPattern, own: KeyValue): Promise<number[][]> {
  const [, length, width] = own.key.shape as [number, number, number];
  const { sums } = await evaluate(cpu, { sums: pattern.attend(ones(length, width), own, { numHeads: 1 }) });
  const marks = Array.from(sums, (x) => (x > 0 ? 1 : 0));
  return Array.from({ length }, (_, i) => marks.slice(i * width, (i + 1) * width));
}

describe.each([...golden, definedMask(6, 1), definedMask(6, 3)])("length $length, groups of $blockSize", ({ length, blockSize, mask }) => {
  // The context is the start and then the tokens: marks are `length` noisy tokens, the start, `length` clean tokens.
  const width = 2 * length + 1;

  test("estimates attend to their own group and to the context before it", async () => {
    const rows = await seen(estimateAttention(marked(length, length, width), blockSize), marked(length, 0, width));
    for (const [i, row] of rows.entries()) {
      expect(row[length]).toBe(1);
      expect([...row.slice(0, length), ...row.slice(length + 1)]).toEqual(mask[i]);
    }
  });

  test("the context attends to the groups up to its own", async () => {
    const rows = await seen(causalAttention(length + 1, blockSize), marked(length + 1, length, width));
    for (const [i, row] of rows.slice(1).entries()) expect(row.slice(length + 1)).toEqual(mask[length + i]!.slice(length));
  });
});

test("behind a cache a token attends to the slots that are filled, and to itself", async () => {
  const past = marked(4, 1, 6);
  const pattern = cachedAttention(past, constant(Float32Array.of(1, 1, 0, 0), [4]), constant(Int32Array.of(2), [1, 1], "int32"));
  expect(await seen(pattern, marked(1, 0, 6))).toEqual([[1, 1, 1, 0, 0, 0]]);
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
  const patterns: ((own: KeyValue) => AttentionPattern)[] = [
    () => fullAttention,
    () => causalAttention(length),
    estimateAttention,
    (own) => estimateAttention(own, 3),
  ];
  for (const pattern of patterns) {
    const [a, b] = [few, many].map((own) => pattern(own).attend(query, own, { numHeads: 4 })) as [Tensor, Tensor];
    const { one, other } = await evaluate(cpu, { one: a, other: b });
    for (const [i, x] of one.entries()) expect(x).toBeCloseTo(other[i]!, 5);
  }
});

test("long sequences are attended to in chunks: the same sums, and the same gradients", async () => {
  const [batch, length, width, numHeads] = [2, 1600, 8, 2];
  const numbers = (seed: number): Tensor =>
    constant(
      Float32Array.from({ length: batch * length * width }, (_, i) => Math.sin(seed + 0.37 * i)),
      [batch, length, width],
    );
  const [q, k, v, contextKey, contextValue] = [1, 2, 3, 4, 5].map(numbers) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const rows = (shape: readonly number[]): Tensor =>
    constant(
      Int32Array.from({ length }, (_, i) => i),
      shape,
      "int32",
    );
  const later = mul(cast(greater(rows([1, length]), rows([length, 1])), "float32"), -1e9);
  const loss = (x: Tensor): Tensor => mean(mul(x, numbers(6)));
  const inChunks = loss(causalAttention(length).attend(q, { key: k, value: v }, { numHeads }));
  const atOnce = loss(attention(q, k, v, { numHeads, mask: later }));
  const [a, b] = [inChunks, atOnce].map((one) => grad(one, [q, k, v])) as [readonly Tensor[], readonly Tensor[]];
  const values = await evaluate(cpu, { a0: a[0]!, a1: a[1]!, a2: a[2]!, b0: b[0]!, b1: b[1]!, b2: b[2]!, one: inChunks, other: atOnce });
  expect(values.one[0]).toBeCloseTo(values.other[0]!, 6);
  for (const [own, expected] of [
    ["a0", "b0"],
    ["a1", "b1"],
    ["a2", "b2"],
  ] as const) {
    const scale = Math.max(...values[expected].map(Math.abs));
    for (const [i, x] of values[own].entries()) if (i % 97 === 0) expect(Math.abs(x - values[expected][i]!)).toBeLessThan(1e-4 * scale);
  }
  // Beside a context, what comes first is as in a short sequence.
  const short = (x: Tensor): Tensor => slice(x, 1, 0, 50);
  const long = estimateAttention({ key: contextKey, value: contextValue }).attend(q, { key: k, value: v }, { numHeads });
  const start = estimateAttention({ key: short(contextKey), value: short(contextValue) }).attend(
    short(q),
    { key: short(k), value: short(v) },
    { numHeads },
  );
  const { whole, first } = await evaluate(cpu, { whole: long, first: start });
  for (let item = 0; item < batch; item++)
    for (let i = 0; i < 50 * width; i++) expect(whole[item * length * width + i]).toBeCloseTo(first[item * 50 * width + i]!, 5);
});

test("a layer with two attentions has two caches, numbered by its keys: token by token it answers as for the whole sequence", async () => {
  const [length, width] = [5, 8];
  const attentions = {
    second: selfAttention({ width, numHeads: 2, pattern: causalAttention(length) }),
    first: selfAttention({ width, numHeads: 2, pattern: causalAttention(length) }),
  };
  const layer = defineModule(attentions, (x: Tensor, patternOf?: PatternOf) => {
    const context = { ...plainContext, patternOf };
    const once = add(x, attentions.first(x, context)); // the other order than that of the keys
    return add(once, attentions.second(once, context));
  });
  expect(attentionLayers({ parts: { list: [layer] } })).toEqual([attentions.second, attentions.first]);

  const numbers = (rows: number, seed: number): Tensor =>
    constant(
      Float32Array.from({ length: rows * width }, (_, i) => Math.sin(seed + 1.3 * i)),
      [1, rows, width],
    );
  const x = numbers(length, 1);
  const whole = layer(x);
  const kept = new Map<AttentionLayer, KeyValue>(attentionLayers(layer).map((own) => [own, { key: numbers(0, 0), value: numbers(0, 0) }]));
  const patternOf: PatternOf = (own) => {
    const past = kept.get(own)!;
    const slots = past.key.shape[1]!;
    const behind =
      slots === 0
        ? fullAttention
        : cachedAttention(past, constant(new Float32Array(slots).fill(1), [slots]), constant([slots], [1, 1], "int32"));
    return recorded(behind, ({ key, value }) => {
      kept.set(own, slots === 0 ? { key, value } : { key: concat([past.key, key], 1), value: concat([past.value, value], 1) });
    });
  };
  const steps = Array.from({ length }, (_, i) => layer(slice(x, 1, i, i + 1), patternOf));
  const parameters = namedParameters(layer);
  const values = Object.fromEntries(
    [...parameters].map(([path, { shape }], p) => [path, Float32Array.from({ length: sizeOf(shape) }, (_, i) => 0.5 * Math.sin(p + i))]),
  );
  const names = new Map([...parameters].map(([path, tensor]) => [tensor, path]));
  const { one, other } = await evaluate(cpu, { one: whole, other: concat(steps, 1) }, values, names);
  for (const [i, value] of one.entries()) expect(other[i]).toBeCloseTo(value, 5);
});
