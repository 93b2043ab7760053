import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AdamWStep, hasWasmKernels, type Kernels, type SgdStep, wasmKernels } from "./kernels.ts";
import { referenceKernels } from "./reference.ts";

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
const wasm = wasmKernels(memory);

/** Lays `vectors` into the kernels' memory at odd float offsets, with guards between them. */
function place(vectors: readonly (readonly number[])[]): Float32Array[] {
  new Float32Array(memory.buffer).fill(guard);
  let next = 1;
  return vectors.map((values) => {
    const view = new Float32Array(memory.buffer, next * 4, values.length);
    view.set(values);
    next += values.length + 3;
    return view;
  });
}
const guard = Math.fround(-12345.678);

/** Runs one kernel in both implementations on the same vectors; returns the vectors after each. */
function both(vectors: readonly (readonly number[])[], call: (kernels: Kernels, vectors: Float32Array[]) => void) {
  const inWasm = place(vectors);
  const inJs = vectors.map((values) => Float32Array.from(values));
  call(wasm, inWasm);
  call(referenceKernels, inJs);
  const touched = vectors.reduce((sum, values) => sum + values.length, 0);
  const guards = new Float32Array(memory.buffer).filter((value) => value === guard).length;
  return { inWasm, inJs, guardsKept: guards === memory.buffer.byteLength / 4 - touched };
}

/** Roundings of float32, relative to `size`, the largest intermediate of the formula. */
function expectClose(actual: Float32Array, expected: Float32Array, size: (i: number) => number): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(3 * 2 ** -24 * size(i) + 1e-38);
  });
}

const float = fc.float({ min: -100, max: 100, noNaN: true, noDefaultInfinity: true }).map((x) => (Math.abs(x) < 1e-6 ? 0 : x));
const vectorsOf = (count: number) =>
  fc
    .integer({ min: 0, max: 19 })
    .chain((n) => fc.tuple(...Array.from({ length: count }, () => fc.array(float, { minLength: n, maxLength: n }))));

const step: AdamWStep = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.1,
  bias1: 0.271,
  bias2: 0.002997,
  gradScale: 0.5,
};

describe("WebAssembly kernels agree with the JavaScript reference, at every length, and touch nothing else", () => {
  test("adamw", () => {
    fc.assert(
      fc.property(vectorsOf(4), ([p, g, m, rawV]) => {
        const v = rawV!.map(Math.abs);
        const { inWasm, inJs, guardsKept } = both([p!, g!, m!, v], (kernels, [pv, gv, mv, vv]) => kernels.adamw(pv!, gv!, mv!, vv!, step));
        const [newP, newG, newM, newV] = inWasm;
        expect(guardsKept).toBe(true);
        expect([...newG!]).toEqual([...inJs[1]!]);
        expectClose(newM!, inJs[2]!, (i) => Math.abs(m![i]!) + Math.abs(g![i]!));
        expectClose(newV!, inJs[3]!, (i) => v[i]! + g![i]! ** 2);
        const update = (i: number): number =>
          ((step.learningRate / step.bias1) * (Math.abs(m![i]!) + Math.abs(g![i]!))) / (Math.sqrt(inJs[3]![i]! / step.bias2) + step.eps);
        expectClose(newP!, inJs[0]!, (i) => Math.abs(p![i]!) + 2 * update(i));
      }),
    );
  });

  test("sgd", () => {
    const settings: SgdStep = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.01, gradScale: 0.25 };
    fc.assert(
      fc.property(vectorsOf(3), ([p, g, m]) => {
        const { inWasm, inJs, guardsKept } = both([p!, g!, m!], (kernels, [pv, gv, mv]) => kernels.sgd(pv!, gv!, mv!, settings));
        const size = (i: number): number => Math.abs(p![i]!) + Math.abs(g![i]!) + Math.abs(m![i]!);
        expect(guardsKept).toBe(true);
        expectClose(inWasm[2]!, inJs[2]!, size);
        expectClose(inWasm[0]!, inJs[0]!, size);
      }),
    );
  });

  test("axpy, lerp, scale and fill", () => {
    fc.assert(
      fc.property(vectorsOf(2), ([x, y]) => {
        const size = (i: number): number => 3 * (Math.abs(x![i]!) + Math.abs(y![i]!));
        const calls: ((kernels: Kernels, a: Float32Array, b: Float32Array) => void)[] = [
          (kernels, a, b) => kernels.axpy(a, b, 2.5),
          (kernels, a, b) => kernels.lerp(a, b, 0.999),
          (kernels, a) => kernels.scale(a, -0.3),
          (kernels, a) => kernels.fill(a, 7),
        ];
        for (const call of calls) {
          const { inWasm, inJs, guardsKept } = both([x!, y!], (kernels, [a, b]) => call(kernels, a!, b!));
          expect(guardsKept).toBe(true);
          expectClose(inWasm[0]!, inJs[0]!, size);
          expect([...inWasm[1]!]).toEqual([...inJs[1]!]);
        }
      }),
    );
  });

  test("sumSquares, to float64", () => {
    fc.assert(
      fc.property(vectorsOf(1), ([x]) => {
        const [view] = place([x!]);
        const exact = referenceKernels.sumSquares(view!);
        expect(Math.abs(wasm.sumSquares(view!) - exact)).toBeLessThanOrEqual(1e-14 * exact);
      }),
    );
  });
});

// torch.optim.AdamW([p], lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01), p = [1, -2], grads [0.5, -1] then [0.1, 3]:
// by hand: after step 1 p = 0.999 p - 0.1 sign(g).
test.each([
  ["WebAssembly", wasm],
  ["JavaScript", referenceKernels],
])("%s: the first AdamW step moves by the learning rate against the gradient's sign", (_, kernels) => {
  const [p, g, m, v] = place([
    [1, -2],
    [0.5, -1],
    [0, 0],
    [0, 0],
  ]);
  kernels.adamw(p!, g!, m!, v!, {
    learningRate: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0.01,
    bias1: 0.1,
    bias2: 0.001,
    gradScale: 1,
  });
  expect(p![0]).toBeCloseTo(0.899, 6);
  expect(p![1]).toBeCloseTo(-1.898, 6);
  expect(m![0]).toBeCloseTo(0.05, 8);
  expect(v![1]).toBeCloseTo(0.001, 9);
});

test("1 - beta2 is not rounded in float32", () => {
  const [p, g, m, v] = place([[0], [1], [0], [0]]);
  wasm.adamw(p!, g!, m!, v!, { ...step, gradScale: 1 });
  expect(v![0]).toBe(Math.fround(1 - 0.999));
});

test("a long vector and its pieces give the same bits", () => {
  const values = Array.from({ length: 103 }, (_, i) => Math.sin(i * 1.7) * 3);
  const start = [values, values.map((x) => x * x - 1), values.map((x) => x / 2), values.map((x) => x * x)];
  const whole = place(start);
  wasm.adamw(whole[0]!, whole[1]!, whole[2]!, whole[3]!, step);
  const expected = whole.map((vector) => [...vector]);
  const pieces = place(start);
  for (const [from, to] of [
    [0, 1],
    [1, 38],
    [38, 103],
  ] as const) {
    const [p, g, m, v] = pieces.map((vector) => vector.subarray(from, to));
    wasm.adamw(p!, g!, m!, v!, step);
  }
  expect(pieces.map((vector) => [...vector])).toEqual(expected);
});

test("vectors of different lengths, or outside the memory, are refused before anything is written", () => {
  const [a, b] = place([
    [1, 2, 3],
    [1, 2],
  ]);
  expect(() => wasm.axpy(a!, b!, 1)).toThrow(/vectors of 3, 2 floats/);
  expect(() => referenceKernels.axpy(a!, b!, 1)).toThrow(/vectors of 3, 2 floats/);
  expect(() => wasm.scale(new Float32Array(3), 1)).toThrow(/arena\.view/);
});

test("the committed WebAssembly is what kernels.wat compiles to", () => {
  expect(hasWasmKernels()).toBe(true);
  const script = fileURLToPath(new URL("../../../scripts/build-kernels.mjs", import.meta.url));
  execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" });
});
