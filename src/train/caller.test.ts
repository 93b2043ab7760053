import { afterEach, describe, expect, test, vi } from "vitest";
import { device } from "../../test/support/devices.ts";
import { fold, key, normals } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { add, attention, constant, mul, parameter } from "../tensor/index.ts";
import { type AttentionMap, createCaller, float32, int32, predictionProgram, type Unit } from "./index.ts";

const cpu = await device("cpu");
const weight = parameter([2], { name: "never asked", fill: () => expect.unreachable() });
const unit: Unit = { name: "a", trainable: new Map([["a/w", weight]]), frozen: new Map(), constants: new Map(), layerEvaluations: 1 };
const inputs = (batchSize: number) => ({ x: float32(batchSize, 2), unused: int32(batchSize) });
const scaled = predictionProgram("program", inputs, ({ x }) => ({ y: mul(x, weight) }));
const shifted = predictionProgram("program", inputs, ({ x }, batchSize) => ({ y: add(x, constant([batchSize], [])) }));
const feeds = { x: Float32Array.of(1, 2, 3, 4), unused: new Int32Array(2) };

describe("a caller", () => {
  const compile = vi.fn(cpu.compile.bind(cpu));
  const watched: Device = Object.assign(Object.create(cpu), { compile });
  afterEach(() => compile.mockClear());

  test("runs a program with the parameters as they are when it is called, and leaves out inputs that it does not use", async () => {
    let value = Float32Array.of(10, 100);
    await using caller = createCaller({ units: [unit] }, { device: watched, values: () => value, batchSize: 2 });
    expect((await caller.call(scaled, feeds)).y).toEqual(Float32Array.of(10, 200, 30, 400));
    value = Float32Array.of(1, 0);
    expect((await caller.call(scaled, feeds)).y).toEqual(Float32Array.of(1, 0, 3, 0));
  });

  test("knows programs by their identity, not by their names, and compiles each once, when it is first called", async () => {
    await using caller = createCaller({ units: [unit] }, { device: watched, values: () => Float32Array.of(1, 1), batchSize: 2 });
    expect(compile).toHaveBeenCalledTimes(0);
    const results = await Promise.all([scaled, shifted, scaled].map((program) => caller.call(program, feeds)));
    expect(results.map(({ y }) => [...y])).toEqual([
      [1, 2, 3, 4],
      [3, 4, 5, 6],
      [1, 2, 3, 4],
    ]);
    expect(compile).toHaveBeenCalledTimes(2);
  });
});

describe("what attention layers attend to", () => {
  const numHeads = 2;
  // Few tokens: the weights stand in the graph. Many: ONNX Runtime's fused operator, which gives none away.
  test.each([
    ["in the graph", 3, 8],
    ["fused", 20, 4],
  ])("%s: weights of each query sum to 1, and the values summed by them are the answer", async (_, tokens, width) => {
    const size = [1, tokens, width] as const;
    const program = predictionProgram(
      "attention",
      () => ({ q: float32(...size), k: float32(...size), v: float32(...size) }),
      ({ q, k, v }) => ({ y: attention(attention(q, k, v, { numHeads }), k, v, { numHeads }) }),
    );
    const [q, k, v] = ["q", "k", "v"].map((name) => normals(fold(key("attention"), name), tokens * width)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const seen: (readonly AttentionMap[])[] = [];
    const options = { device: cpu, values: () => expect.unreachable(), batchSize: 1 };
    await using plain = createCaller({ units: [] }, options);
    await using watched = createCaller({ units: [] }, { ...options, onAttention: (_name, layers) => seen.push(layers) });
    const { y } = await watched.call(program, { q, k, v });
    expect(y).toEqual((await plain.call(program, { q, k, v })).y);
    const [layers] = seen;
    expect(layers!.map(({ shape }) => shape)).toEqual([
      [1, numHeads, tokens, tokens],
      [1, numHeads, tokens, tokens],
    ]);
    const { data } = layers![1]!;
    const headWidth = width / numHeads;
    for (let head = 0; head < numHeads; head++)
      for (let query = 0; query < tokens; query++) {
        const row = data.subarray((head * tokens + query) * tokens, (head * tokens + query + 1) * tokens);
        expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
        for (let i = 0; i < headWidth; i++) {
          const at = head * headWidth + i;
          const sum = row.reduce((total, weight, j) => total + weight * v[j * width + at]!, 0);
          expect(sum).toBeCloseTo(y[query * width + at]!, 5);
        }
      }
  });
});
