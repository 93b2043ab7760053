import { afterEach, describe, expect, test, vi } from "vitest";
import { device } from "../../test/support/devices.ts";
import type { Device } from "../runtime/index.ts";
import { add, constant, mul, parameter } from "../tensor/index.ts";
import { createCaller, float32, int32, predictionProgram, type Unit } from "./index.ts";

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
