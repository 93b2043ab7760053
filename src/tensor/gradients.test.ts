import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { device, devices } from "../../test/support/devices.ts";
import { type GradientCase, gradientError, gradientKey, gradientResult } from "../../test/support/gradCheck.ts";
import { fold } from "../random.ts";
import type { Shape, Tensor } from "./index.ts";
import * as T from "./index.ts";

const size = fc.integer({ min: 1, max: 5 });
const shape = (min = 1, max = 4): fc.Arbitrary<number[]> => fc.array(size, { minLength: min, maxLength: max });

/** Two shapes that broadcast: some axes of either are 1, some leading axes of one are left out. */
const broadcast: fc.Arbitrary<[Shape, Shape]> = fc
  .tuple(shape(1, 4), fc.array(fc.constantFrom("both", "a", "b"), { minLength: 4, maxLength: 4 }), fc.nat(3), fc.boolean())
  .map(([full, keep, drop, first]) => {
    const cut = (own: string): number[] => full.map((d, i) => (keep[i] === own || keep[i] === "both" ? d : 1));
    const [a, b] = [cut("a"), cut("b")];
    return first ? [a.slice(Math.min(drop, a.length)), b] : [a, b.slice(Math.min(drop, b.length))];
  });

const one = (f: (x: Tensor) => Tensor, domain?: (x: number) => number): fc.Arbitrary<GradientCase> =>
  shape().map((s) => ({ shapes: [s], f, ...(domain && { domain }) }));
const two = (f: (a: Tensor, b: Tensor) => Tensor, domain?: (x: number) => number): fc.Arbitrary<GradientCase> =>
  broadcast.map(([a, b]) => ({ shapes: [a, b], f, ...(domain && { domain }) }));
const positive = (x: number): number => 0.5 + Math.abs(x);
/** Keeps values away from 0, where the derivative jumps. */
const offKink = (x: number): number => x + Math.sign(x) * 0.05;

const withAxis = (f: (x: Tensor, axis: number) => Tensor): fc.Arbitrary<GradientCase> =>
  shape(1, 4).chain((s) => fc.nat(s.length - 1).map((axis) => ({ shapes: [s], f: (x: Tensor) => f(x, axis) })));

const product: fc.Arbitrary<GradientCase> = fc
  .tuple(size, size, size, fc.array(size, { maxLength: 2 }), fc.boolean(), fc.boolean(), fc.constantFrom(1, 0.5), fc.boolean())
  .map(([m, k, n, batch, transA, transB, alpha, shared]) => ({
    shapes: [
      [...batch, ...(transA ? [k, m] : [m, k])],
      [...(shared ? batch.map(() => 1) : batch), ...(transB ? [n, k] : [k, n])],
    ],
    f: (a: Tensor, b: Tensor) => T.matmul(a, b, { transA, transB, alpha }),
  }));

const gemmCase: fc.Arbitrary<GradientCase> = fc
  .tuple(size, size, size, fc.boolean(), fc.boolean(), fc.constantFrom(1, 2))
  .map(([m, k, n, transA, transB, alpha]) => ({
    shapes: [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], [n]],
    f: (a: Tensor, b: Tensor, bias: Tensor) => T.gemm(a, b, { transA, transB, alpha, bias }),
  }));

const convCase: fc.Arbitrary<GradientCase> = fc
  .tuple(
    size,
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 4, max: 8 }),
  )
  .map(([batch, channels, out, kernel, stride, padding, side]) => ({
    shapes: [
      [batch, channels, side, side + 1],
      [out, channels, kernel, kernel],
    ],
    f: (x: Tensor, w: Tensor) => T.conv2d(x, w, { stride, padding }),
  }));

/** x with its values far apart: the derivative of a maximum jumps where two are equal. */
function apart(x: Tensor): Tensor {
  const ramp = Array.from({ length: T.sizeOf(x.shape) }, (_, i) => 9 * ((7 * i) % 11) + i);
  return T.add(x, T.constant(ramp, x.shape));
}

const ints = (values: readonly number[], s: Shape): Tensor => T.constant(values, s, "int32");

/** Two heads of width 2: up to 6 keys the weights are kept, beyond they are made again. */
const attentionCase = (min: number, max: number): fc.Arbitrary<GradientCase> =>
  fc.tuple(size, size, fc.integer({ min, max })).map(([batch, queries, keys]) => ({
    shapes: [
      [batch, queries, 4],
      [batch, keys, 4],
      [batch, keys, 4],
    ],
    f: (query: Tensor, key: Tensor, value: Tensor) => T.attention(query, key, value, { numHeads: 2 }),
  }));

const gatherCase: fc.Arbitrary<GradientCase> = fc
  .tuple(size, size, fc.array(fc.nat(4), { minLength: 1, maxLength: 7 }))
  .map(([rows, columns, raw]) => ({
    shapes: [[rows, columns]],
    f: (table: Tensor) =>
      T.gather(
        table,
        ints(
          raw.map((i) => i % rows),
          [raw.length],
        ),
      ),
  }));

const takeCase: fc.Arbitrary<GradientCase> = fc
  .tuple(size, size, fc.array(fc.nat(4), { minLength: 5, maxLength: 5 }))
  .map(([rows, columns, raw]) => ({
    shapes: [[rows, columns]],
    f: (x: Tensor) =>
      T.takeAlong(
        x,
        ints(
          raw.slice(0, rows).map((i) => i % columns),
          [rows, 1],
        ),
        1,
      ),
  }));

const crossEntropyCase: fc.Arbitrary<GradientCase> = fc
  .tuple(size, fc.integer({ min: 2, max: 5 }), fc.array(fc.nat(9), { minLength: 5, maxLength: 5 }))
  .map(([rows, classes, raw]) => ({
    shapes: [[rows, classes]],
    f: (x: Tensor) =>
      T.crossEntropy(
        x,
        ints(
          raw.slice(0, rows).map((i) => i % classes),
          [rows],
        ),
      ),
  }));

const wide = fc.tuple(shape(1, 2), fc.integer({ min: 4, max: 9 })).map(([lead, width]) => [...lead, width]);

const cases: Readonly<Record<string, fc.Arbitrary<GradientCase>>> = {
  add: two(T.add),
  sub: two(T.sub),
  mul: two(T.mul),
  div: two(T.div, positive),
  maximum: two((a, b) => T.maximum(a, T.add(b, 0.37))),
  minimum: two((a, b) => T.minimum(a, T.add(b, 0.37))),
  where: two((a, b) => T.where(T.greater(a, 0), T.mul(a, b), T.sub(b, a)), offKink),
  neg: one(T.neg),
  exp: one(T.exp),
  log: one(T.log, positive),
  sqrt: one(T.sqrt, positive),
  reciprocal: one(T.reciprocal, positive),
  abs: one(T.abs, offKink),
  tanh: one(T.tanh),
  sigmoid: one(T.sigmoid),
  erf: one(T.erf),
  relu: one(T.relu, offKink),
  softplus: one(T.softplus),
  sin: one(T.sin),
  cos: one(T.cos),
  square: one(T.square),
  gelu: one(T.gelu),
  geluApproximate: one(T.geluApproximate),
  silu: one(T.silu),
  reduceSum: withAxis((x, axis) => T.reduceSum(x, axis)),
  reduceMean: withAxis((x, axis) => T.reduceMean(x, axis, true)),
  reduceMax: withAxis((x, axis) => T.reduceMax(apart(x), axis)),
  mean: one(T.mean),
  softmax: withAxis(T.softmax),
  cumulativeSum: one(T.cumulativeSum),
  logSoftmax: withAxis(T.logSoftmax),
  reshape: one((x) => T.mul(T.reshape(x, [T.sizeOf(x.shape)]), 2)),
  transpose: one((x) =>
    T.transpose(
      x,
      x.shape.map((_, i) => x.rank - 1 - i),
    ),
  ),
  swapLast: shape(2, 4).map((s) => ({ shapes: [s], f: T.swapLast })),
  expand: one((x) => T.expand(x, [2, ...x.shape])),
  concat: withAxis((x, axis) => T.concat([x, T.square(x), x], axis)),
  split: withAxis((x, axis) => T.mul(T.split(T.concat([x, x], axis), [x.shape[axis]!, x.shape[axis]!], axis)[1]!, x)),
  slice: withAxis((x, axis) => T.slice(x, axis, x.shape[axis]! > 1 ? 1 : 0, x.shape[axis]!)),
  pad: one((x) =>
    T.pad(
      x,
      x.shape.map((_, i) => [i, 1]),
    ),
  ),
  matmul: product,
  gemm: gemmCase,
  linear: fc.tuple(wide, size).map(([s, out]) => ({ shapes: [s, [s.at(-1)!, out], [out]], f: T.linear })),
  conv2d: convCase,
  maxPool2d: fc.tuple(size, size, fc.integer({ min: 2, max: 3 }), size, size).map(([batch, channels, side, height, width]) => ({
    shapes: [[batch, channels, side * height, side * width]],
    f: (x: Tensor) => T.maxPool2d(apart(x), side),
  })),
  gather: gatherCase,
  takeAlong: takeCase,
  crossEntropy: crossEntropyCase,
  layerNorm: wide.map((s) => ({ shapes: [s, [s.at(-1)!], [s.at(-1)!]], f: (x, gain, bias) => T.layerNorm(x, { gain, bias }) })),
  plainLayerNorm: wide.map((s) => ({ shapes: [s], f: (x) => T.layerNorm(x) })),
  "adaptive layer norm, computed again": fc.tuple(size, size, fc.integer({ min: 4, max: 9 })).map(([batch, tokens, width]) => ({
    shapes: [
      [batch, tokens, width],
      [batch, 1, width],
      [batch, 1, width],
    ],
    f: (x: Tensor, gain: Tensor, bias: Tensor) => T.square(T.rematerialised(() => T.add(T.mul(T.layerNorm(x), gain), bias))),
  })),
  attention: attentionCase(1, 3),
  "attention, weights made again": attentionCase(9, 12),
  rmsNorm: wide.map((s) => ({ shapes: [s, [s.at(-1)!]], f: (x, gain) => T.rmsNorm(x, { gain }) })),
  l2Normalize: wide.map((s) => ({ shapes: [s], f: (x) => T.l2Normalize(x) })),
};

describe("the traced gradient agrees with central differences", () => {
  test.each(Object.entries(cases))("%s", async (name, arbitrary) => {
    const cpu = await device("cpu");
    await fc.assert(
      fc.asyncProperty(arbitrary, fc.nat(1000), async (one, seed) => {
        expect(gradientError(await gradientResult(cpu, one, fold(fold(gradientKey, name), seed)))).toBeLessThan(1e-2);
      }),
      { numRuns: 12, seed: 7 },
    );
  });
});

describe.skipIf(!devices.includes("webgpu"))("values and gradients on WebGPU agree with the CPU", () => {
  test.each(Object.entries(cases))("%s", async (name, arbitrary) => {
    const [cpu, gpu] = await Promise.all([device("cpu"), device("webgpu")]);
    for (const [i, one] of fc.sample(arbitrary, { numRuns: 2, seed: 11 }).entries()) {
      const seed = fold(fold(gradientKey, name), i);
      const [a, b] = [await gradientResult(cpu, one, seed), await gradientResult(gpu, one, seed)];
      for (const [k, array] of a.values.entries()) {
        const scale = Math.max(1, ...array.map(Math.abs));
        for (const [j, x] of array.entries())
          expect(Math.abs(x - b.values[k]![j]!) / scale).toBeLessThan(name === "sin" || name === "cos" ? 5e-4 : 1e-4); // software Vulkan's sine is coarse
      }
    }
  });
});
