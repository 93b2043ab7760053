import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { stacked } from "../../test/support/stacked.ts";
import { tinyBatch } from "../../test/support/tiny.ts";
import { allValues } from "../../test/support/trained.ts";
import { adamW } from "../optim/index.ts";
import { folderStore, openRun } from "../run/index.ts";
import type { Device } from "../runtime/index.ts";
import { interleaved, memoryStore, type RunStore, type TrainOptions, type TrainResult, train } from "./index.ts";

const cpu = await device("cpu");
const [batchSize, steps] = [8, 9];
const folder = mkdtempSync(join(tmpdir(), "dblocks-loop-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Weights = ReadonlyMap<string, Float32Array>;

async function trained(
  more: Partial<TrainOptions>,
  method = stacked(),
): Promise<{ readonly weights: Weights; readonly result: TrainResult }> {
  const weights = new Map<string, Float32Array>();
  const result = await train(method, {
    device: cpu,
    batches: { stepsPerEpoch: 3, at: (index) => tinyBatch(index, batchSize) },
    batchSize,
    steps,
    optimizer: adamW(),
    learningRate: () => 1e-2,
    seed: 3,
    emaDecay: 0.9,
    onUnitDone: ({ trainable }, values) => {
      for (const path of trainable.keys()) weights.set(path, values(path).slice());
    },
    ...more,
  });
  return { weights, result };
}

describe("units that take turns on parameters of each other", () => {
  test("see what the others have learned", async () => {
    const { weights } = await trained({});
    const alone = await trained({ units: ["unit-1"] });
    expect([...weights.keys()].sort()).toEqual([...new Set(stacked().units.flatMap(({ trainable }) => [...trainable.keys()]))].sort());
    for (const [path, values] of alone.weights) expect(values, path).not.toEqual(weights.get(path));
  });

  test("resume from the newest step that all of them have, with the very weights of a run that was never stopped", async () => {
    const { weights } = await trained({});
    const run = await openRun(join(folder, "run"), { create: true });
    const stop = new AbortController();
    const kept = { store: folderStore(run, { configHash: "a", keepLast: 2 }), logEvery: 1, saveEvery: 3 };
    const onStep: TrainOptions["onStep"] = ({ name }, { step }) => {
      if (name === "unit-2" && step === 6) stop.abort();
    };
    expect((await trained({ ...kept, onStep, signal: stop.signal })).result).toMatchObject({ finished: false, steps: { "unit-0": 6 } });
    // Killed while it saved: one of them has the step before only.
    const last = (unit: string): string =>
      readdirSync(join(folder, "run", unit))
        .filter((name) => name.startsWith("step-"))
        .sort()
        .at(-1)!;
    expect(last("unit-1")).toBe("step-000006.safetensors");
    rmSync(join(folder, "run", "unit-1", last("unit-1")));
    const steppedOn: number[] = [];
    const resumed = await trained({ ...kept, onStep: ({ name }, { step }) => void (name === "unit-0" && steppedOn.push(step)) });
    expect(steppedOn).toEqual([4, 5, 6, 7, 8, 9]);
    expect(resumed.weights).toEqual(weights);
    // Evaluated once more by nobody, and nothing to do.
    const evaluated: number[] = [];
    expect((await trained({ ...kept, evaluate: async () => ({}), onEvaluated: (_, step) => evaluated.push(step) })).weights).toEqual(
      weights,
    );
    expect(evaluated).toEqual([]);
  });

  test("are refused on a device where each holds parameters of its own", async () => {
    const webgpu = { ...cpu, name: "webgpu" } as Device;
    await expect(trained({ device: webgpu })).rejects.toThrow(expect.objectContaining({ code: "sharedOnDevice" }));
  });

  test("average what their order says, every so many rounds", async () => {
    const groups = [["unit-0/head.weight", "unit-1/head.weight", "unit-2/head.weight"]];
    const heads = async (every: number): Promise<Float32Array[]> => {
      const averaged = stacked(interleaved({ every, groups }));
      const { weights } = await trained({ emaDecay: undefined }, averaged);
      return groups[0]!.map((path) => weights.get(path)!);
    };
    const [first, ...others] = await heads(3); // the last step is one of averaging
    for (const other of others) expect(other).toEqual(first);
    const [apart, ...rest] = await heads(4);
    for (const other of rest) expect(other).not.toEqual(apart);
  });
});

test("the evaluation after the last step sees the last parameters, and is logged before the last checkpoint", async () => {
  const run = await openRun(join(folder, "evaluated"), { create: true });
  const seen: [string, number][] = [];
  await trained({
    store: folderStore(run, { configHash: "a", keepLast: 1 }),
    logEvery: 100,
    saveEvery: 3, // at the last step too
    evaluateEvery: 4,
    evaluate: async (unit, values) => ({ first: values([...unit.trainable.keys()][0]!)[0]! }),
    onEvaluated: ({ name }, step) => seen.push([name, step]),
  });
  const names = ["unit-0", "unit-1", "unit-2"];
  expect(seen).toEqual([4, 8, 9].flatMap((step) => names.map((name) => [name, step])));
  const logged = (await run.readMetrics()).filter(({ values }) => "validation/first" in values);
  expect(logged.map(({ unit, step }) => [unit, step])).toEqual(seen);
});

test("units are opened before the log, and the log is durable before a state is saved", async () => {
  const inner = memoryStore();
  const calls: string[] = [];
  const store: RunStore = {
    openUnit: async (unit) => {
      calls.push(`open ${unit}`);
      const { load, save } = await inner.openUnit(unit);
      return {
        load,
        save: (state) => {
          calls.push(`save ${unit} ${state.step}`);
          return save(state);
        },
      };
    },
    openLog: async (resumeFrom) => {
      calls.push(`log ${JSON.stringify(resumeFrom)}`);
      const log = await inner.openLog(resumeFrom);
      return { ...log, write: (unit, step) => void calls.push(`write ${unit} ${step}`), sync: () => void calls.push("sync") };
    },
  };
  const units = ["unit-0", "unit-1"];
  await trained({ store, units, steps: 2, logEvery: 1, saveEvery: 1 });
  await trained({ store, units, steps: 3, logEvery: 1, saveEvery: 1 });
  const step = (s: number): string[] => units.map((unit) => `write ${unit} ${s}`);
  const save = (s: number): string[] => units.flatMap((unit) => ["sync", `save ${unit} ${s}`]);
  const open = units.map((unit) => `open ${unit}`);
  expect(calls).toEqual([
    ...[...open, 'log {"unit-0":-1,"unit-1":-1}', ...step(1), ...save(1), ...step(2), ...save(2)],
    ...[...open, 'log {"unit-0":2,"unit-1":2}', ...step(3), ...save(3)],
  ]);
});

describe("the values of a result", () => {
  test("are those of every finished unit, kept by default where there is no store", async () => {
    const { weights, result } = await trained({});
    for (const [path, values] of allValues(stacked(), result.values)) expect(values).toEqual(weights.get(path));
    expect(() => result.values("unit-0/nothing")).toThrow(expect.objectContaining({ code: "valuesNotKept" }));
  });

  test("are kept beside a store if asked for, those of units that were loaded too", async () => {
    const store = memoryStore();
    const first = await trained({ store });
    expect(() => first.result.values("shared/head.weight")).toThrow(/keepValues: true/);
    const again = await trained({ store, keepValues: true });
    expect(again.result.values("shared/head.weight")).toEqual(first.weights.get("shared/head.weight"));
  });
});
