import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { describeOnDevices, device, devices } from "../../test/support/devices.ts";
import { memoryGrowth } from "../../test/support/memoryGrowth.ts";
import { onnxBytes, type TestModel, type TestValue } from "../../test/support/onnxBytes.ts";
import type { DType } from "../tensor/index.ts";
import type { Device, DeviceTensor, Executable, ProgramBytes } from "./index.ts";
import { availableBackends, openDevice } from "./index.ts";

const value = (name: string, shape: readonly number[], dtype: DType = "float32"): TestValue => ({ name, shape, dtype });
const program = (model: TestModel): ProgramBytes => ({ bytes: onnxBytes(model), inputs: model.inputs, outputs: model.outputs });

/** c = a b, d = -c. */
const product = program({
  inputs: [value("a", [2, 3]), value("b", [3, 2])],
  outputs: [value("c", [2, 2]), value("d", [2, 2])],
  nodes: [
    { op: "MatMul", inputs: ["a", "b"], outputs: ["c"] },
    { op: "Neg", inputs: ["c"], outputs: ["d"] },
  ],
});
const a = Float32Array.of(1, 2, 3, 4, 5, 6);
const b = Float32Array.of(1, 0, 0, 1, 1, 1);

/** A step of a state: next = state + state. */
const doubling = program({
  inputs: [value("state", [3])],
  outputs: [value("next", [3])],
  nodes: [{ op: "Add", inputs: ["state", "state"], outputs: ["next"] }],
});

describeOnDevices("a program", (name) => {
  let on: Device;
  let executable: Executable;
  beforeAll(async () => {
    on = await device(name);
    executable = await on.compile(product);
  });
  afterAll(() => executable.dispose());

  test("runs, and runs again with other numbers", async () => {
    expect(await executable.run({ a, b })).toEqual({ c: Float32Array.of(4, 5, 10, 11), d: Float32Array.of(-4, -5, -10, -11) });
    const zeros = new Float32Array(6);
    expect((await executable.run({ a: zeros, b })).c).toEqual(new Float32Array(4));
  });

  test("fills the arrays of `into` in place, views of a WebAssembly memory too", async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const feed = new Float32Array(memory.buffer, 64, 6);
    feed.set(a);
    const c = new Float32Array(memory.buffer, 256, 4);
    const result = await executable.run({ a: feed, b }, { into: { c } });
    expect(result.c).toBe(c);
    expect([...c]).toEqual([4, 5, 10, 11]);
    expect(new Float32Array(memory.buffer, 272, 1)[0]).toBe(0);
    expect(result.d).toEqual(Float32Array.of(-4, -5, -10, -11));
  });

  test("keeps outputs on the device; they can be fed, downloaded and disposed", async () => {
    const { c, d } = await executable.run({ a, b }, { keep: new Set(["c"]) });
    const kept = c as DeviceTensor;
    expect(kept).toMatchObject({ dtype: "float32", shape: [2, 2] });
    expect(d).toEqual(Float32Array.of(-4, -5, -10, -11));
    expect(await on.download(kept)).toEqual(Float32Array.of(4, 5, 10, 11));
    kept.dispose();
    kept.dispose();
    await expect(on.download(kept)).rejects.toThrow(/float32\[2, 2\] tensor was used after dispose/);
  });

  test("carries a state through many steps without the host", async () => {
    const step = await on.compile(doubling, { keep: new Set(["next"]) });
    let state = await on.upload(Float32Array.of(1, 2, 3), { dtype: "float32", shape: [3] });
    for (let i = 0; i < 10; i++) {
      const { next } = await step.run({ state });
      state.dispose();
      state = next as DeviceTensor;
    }
    expect(await on.download(state)).toEqual(Float32Array.of(1024, 2048, 3072));
    state.dispose();
    await step.dispose();
  });

  test.each([
    ["float32", Float32Array.of(1.5, -2)],
    ["int32", Int32Array.of(7, -2_000_000_000)],
    ["int64", BigInt64Array.of(7n, -5n)],
    ["bool", Uint8Array.of(1, 0)],
  ] as const)("uploads and downloads %s, as copies", async (dtype, array) => {
    const original = array.slice();
    const tensor = await on.upload(array, { dtype, shape: [2, 1] });
    array.fill((dtype === "int64" ? 0n : 0) as never);
    expect(await on.download(tensor)).toEqual(original);
    array.set(original as never);
    tensor.dispose();
  });

  test("takes int32 labels and gives bool masks", async () => {
    const lookup = await on.compile(
      program({
        inputs: [value("table", [3, 2]), value("labels", [4], "int32")],
        outputs: [value("rows", [4, 2]), value("same", [4], "bool")],
        nodes: [
          { op: "Gather", inputs: ["table", "labels"], outputs: ["rows"], ints: { axis: 0 } },
          { op: "Equal", inputs: ["labels", "labels"], outputs: ["same"] },
        ],
      }),
    );
    const table = Float32Array.of(0, 1, 10, 11, 20, 21);
    const { rows, same } = await lookup.run({ table, labels: Int32Array.of(2, 0, 1, 2) });
    expect(rows).toEqual(Float32Array.of(20, 21, 0, 1, 10, 11, 20, 21));
    expect(same).toEqual(Uint8Array.of(1, 1, 1, 1));
    await lookup.dispose();
  });

  test("names what is wrong with a feed before ONNX Runtime sees it", async () => {
    await expect(executable.run({ a, b, x: a })).rejects.toThrow('run: "x" is no input of the program, which has "a", "b".');
    await expect(executable.run({ a })).rejects.toThrow('run: no value for "b". The program needs "a", "b".');
    await expect(executable.run({ a, b: a.subarray(1) })).rejects.toThrow(
      'run: input "b" is float32[3, 2], 6 elements; the array given holds 5.',
    );
    await expect(executable.run({ a, b: new Int32Array(6) })).rejects.toThrow(
      'run: input "b" is float32[3, 2] and takes a Float32Array; a Int32Array was given.',
    );
    await expect(executable.run({ a, b }, { into: { c: new Float32Array(3) } })).rejects.toThrow(
      /output "c" is float32\[2, 2\], 4 elements/,
    );
    await expect(executable.run({ a, b }, { into: { y: a } })).rejects.toThrow(/"y" is no output to fill/);
    await expect(executable.run({ a, b }, { keep: new Set(["y"]) })).rejects.toThrow(/"y" is no output to keep/);
    await expect(executable.run({ a, b }, { keep: new Set(["c"]), into: { c: new Float32Array(4) } })).rejects.toThrow(/Choose one/);
    const wrong = await on.upload(a, { dtype: "float32", shape: [2, 3] });
    await expect(executable.run({ a, b: wrong })).rejects.toThrow('run: input "b" is float32[3, 2]; a tensor float32[2, 3] was given.');
    wrong.dispose();
  });

  test("refuses to run after dispose, and finishes what was asked for before", async () => {
    const short = await on.compile(product);
    const running = short.run({ a, b });
    const disposing = short.dispose();
    await expect(short.run({ a, b })).rejects.toThrow("run: the program was disposed. Compile it again.");
    expect((await running).c).toEqual(Float32Array.of(4, 5, 10, 11));
    await disposing;
    await short.dispose();
  });

  test("is refused with the reason if it makes no sense", async () => {
    const nodes = [
      { op: "MatMul", inputs: ["a", "b"], outputs: ["c"] },
      { op: "NoSuchOperator", inputs: ["c"], outputs: ["d"] },
    ];
    const broken = { ...product, bytes: onnxBytes({ ...product, nodes }) };
    await expect(on.compile(broken)).rejects.toThrow(/compile: ONNX Runtime refused the program on .*NoSuchOperator/s);
    await expect(on.compile({ ...product, inputs: [value("q", [1])] })).rejects.toThrow(/the model has inputs "a", "b"/);
  });
});

test.skipIf(devices.length < 2)("a tensor of one device is refused by another", async () => {
  const cpu = await device("cpu");
  const other = await device(devices[1]!);
  const tensor = await cpu.upload(a, { dtype: "float32", shape: [2, 3] });
  await expect(other.download(tensor)).rejects.toThrow(/Download it from its own device/);
  tensor.dispose();
});

test.skipIf(devices.length < 2)("WASM and the CPU agree to roundings of float32", async () => {
  const model = program({
    inputs: [value("x", [17, 33]), value("w", [33, 9])],
    outputs: [value("y", [17, 9])],
    nodes: [
      { op: "MatMul", inputs: ["x", "w"], outputs: ["h"] },
      { op: "Softmax", inputs: ["h"], outputs: ["y"], ints: { axis: 1 } },
    ],
  });
  const feeds = {
    x: Float32Array.from({ length: 17 * 33 }, (_, i) => Math.sin(i)),
    w: Float32Array.from({ length: 33 * 9 }, (_, i) => Math.cos(3 * i)),
  };
  const results = [];
  for (const name of devices) {
    const executable = await (await device(name)).compile(model);
    results.push((await executable.run(feeds)).y as Float32Array);
    await executable.dispose();
  }
  const [reference, ...others] = results;
  for (const y of others) expect(Math.max(...y.map((p, i) => Math.abs(p - reference![i]!)))).toBeLessThan(1e-6);
});

describe("placement", () => {
  const host = program({ inputs: [value("x", [2])], outputs: [value("y", [2])], nodes: [{ op: "Sign", inputs: ["x"], outputs: ["y"] }] });
  test.skipIf(!devices.includes("webgpu"))("strictPlacement refuses an operator that WebGPU lacks, and lets the others pass", async () => {
    const gpu = await device("webgpu");
    await expect(gpu.compile(host, { strictPlacement: true })).rejects.toThrow(/compile: ONNX Runtime refused/);
    await (await gpu.compile(host)).dispose();
    await (await gpu.compile(product, { strictPlacement: true })).dispose();
  });
});

describe("life cycle", () => {
  test("compile, run and dispose leaves no memory behind", async () => {
    const side = 1024; // 4 MiB for each intermediate
    const model = program({
      inputs: [value("x", [side, 1])],
      outputs: [value("y", [1, 1])],
      nodes: [
        { op: "Transpose", inputs: ["x"], outputs: ["t"] },
        { op: "MatMul", inputs: ["x", "t"], outputs: ["s"] },
        { op: "Exp", inputs: ["s"], outputs: ["e"] },
        { op: "MatMul", inputs: ["e", "x"], outputs: ["h"] },
        { op: "MatMul", inputs: ["t", "h"], outputs: ["y"] },
      ],
    });
    const cpu = await device("cpu");
    const x = new Float32Array(side).fill(0.01);
    const round = async (): Promise<void> => {
      const executable = await cpu.compile(model);
      await executable.run({ x });
      await executable.dispose();
    };
    const limit = side ** 2; // a quarter of one intermediate
    expect(await memoryGrowth(round, { rounds: 50, limit })).toBeLessThan(limit);
  });

  test.each([0, 1.5, -3, 5000, Number.NaN])("%d threads are refused", async (threads) => {
    await expect(openDevice("cpu", { threads })).rejects.toMatchObject({ name: "UsageError", code: "threads" });
  });

  test("a disposed device takes its programs along", async () => {
    const cpu = await openDevice("cpu", { threads: 1 });
    expect(cpu.threads).toBe(1);
    const executable = await cpu.compile(product);
    await cpu.dispose();
    await cpu.dispose();
    await expect(executable.run({ a, b })).rejects.toThrow(/disposed/);
    await expect(cpu.compile(product)).rejects.toThrow('The device "cpu" was disposed');
    await expect(cpu.upload(a, { dtype: "float32", shape: [6] })).rejects.toThrow(/disposed/);
  });

  test("the WASM runtime says so when asked to change its threads", async () => {
    await device("wasm");
    await expect(openDevice("wasm", { threads: 5 })).rejects.toThrow("already runs with 2 threads and cannot change to 5");
  });
});

describe("without onnxruntime-node", () => {
  beforeAll(() => {
    vi.resetModules();
    vi.doMock("onnxruntime-node", () => {
      throw new Error("Cannot find package 'onnxruntime-node'");
    });
  });
  afterAll(() => {
    vi.doUnmock("onnxruntime-node");
    vi.resetModules();
  });

  test("auto falls back to WASM with a notice, runs, and an explicit cpu is an error that says what to install", async () => {
    const runtime = await import("./index.ts");
    const notices: string[] = [];
    const found = await runtime.openDevice("auto", { onNotice: (notice) => notices.push(notice) });
    expect(found.name).toBe("wasm");
    expect(notices).toEqual([expect.stringContaining("npm install --ignore-scripts onnxruntime-node")]);
    const executable = await found.compile(product);
    expect((await executable.run({ a, b })).c).toEqual(Float32Array.of(4, 5, 10, 11));
    await found.dispose();
    await expect(runtime.openDevice("cpu")).rejects.toMatchObject({ name: "DeviceError", code: "runtimeMissing" });
    const reports = await runtime.availableBackends();
    expect(reports.map(({ name, available }) => [name, available])).toEqual([
      ["cpu", false],
      ["webgpu", false],
      ["wasm", true],
    ]);
    expect(reports[0]!.fix).toContain("npm install --ignore-scripts onnxruntime-node");
  });
});

test("availableBackends tells what is here, with versions", async () => {
  const reports = await availableBackends();
  expect(reports.filter(({ available }) => available).map(({ name }) => name)).toEqual(expect.arrayContaining([...devices]));
  for (const report of reports.filter(({ available }) => available)) expect(report.version).toMatch(/^\d+\.\d+/);
});
