import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { stacked } from "../../test/support/stacked.ts";
import { tinyBatch } from "../../test/support/tiny.ts";
import { allValues } from "../../test/support/trained.ts";
import { adamW } from "../optim/index.ts";
import { independent, interleaved, type MemoryStore, memoryStore, sequential, type TrainOptions, train, type UnitOrder } from "./index.ts";

const cpu = await device("cpu");
const steps = 9;

function trainedOn(order: UnitOrder, options: Partial<TrainOptions>): ReturnType<typeof train> {
  return train(stacked(order), {
    device: cpu,
    batches: { stepsPerEpoch: 3, at: (index) => tinyBatch(index, 8) },
    batchSize: 8,
    steps,
    optimizer: adamW(),
    learningRate: () => 1e-2,
    seed: 3,
    emaDecay: 0.9,
    logEvery: 1,
    saveEvery: 2,
    keepValues: true,
    ...options,
  });
}

describe("a run in memory", () => {
  test.each([
    ["one after another", independent],
    ["on finished units", sequential],
    ["in turn", interleaved()],
  ] as const)(
    "whose units are trained %s, interrupted and resumed, equals an undisturbed one bit for bit, log included",
    async (_, order) => {
      const undisturbed = memoryStore();
      const { values } = await trainedOn(order, { store: undisturbed });
      const store = memoryStore();
      for (const at of [1, 4, 5]) {
        const stop = new AbortController();
        const onStep: TrainOptions["onStep"] = ({ name }, { step }) => void (name === "unit-1" && step === at && stop.abort());
        expect((await trainedOn(order, { store, onStep, signal: stop.signal })).finished).toBe(false);
      }
      const resumed = await trainedOn(order, { store });
      expect(resumed.finished).toBe(true);
      expect(allValues(stacked(order), resumed.values)).toEqual(allValues(stacked(order), values));
      const log = ({ records }: MemoryStore) => records.map(({ unit, step, values: logged }) => ({ unit, step, logged }));
      expect(log(store)).toEqual(log(undisturbed));
    },
  );

  test("that died after it logged and before it saved drops what it will log again", async () => {
    const store = memoryStore();
    const dies: TrainOptions["onStep"] = (_, { step }) => {
      if (step === 6) throw new Error("died");
    };
    await expect(trainedOn(interleaved(), { store, onStep: dies })).rejects.toThrow("died");
    const { values } = await trainedOn(interleaved(), { store });
    expect(allValues(stacked(), values)).toEqual(allValues(stacked(), (await trainedOn(interleaved(), {})).values));
    const logged = store.records.map(({ unit, step }) => `${unit} ${step}`);
    expect(new Set(logged).size).toBe(logged.length);
    expect(logged.length).toBe(3 * steps);
  });
});

describe("the states of a unit in memory", () => {
  const state = (step: number, data = Float32Array.of(step)) =>
    ({ step, arrays: [["value/w", { shape: [1], data }]], metadata: { updates: String(step) } }) as const;

  test("are copies, of which the newest stay", async () => {
    const unit = await memoryStore({ keepLast: 2 }).openUnit("a");
    expect(await unit.load()).toBeUndefined();
    const data = Float32Array.of(1);
    for (const step of [1, 2, 3]) {
      data[0] = step;
      await unit.save(state(step, data));
    }
    data[0] = 100;
    expect(await unit.load()).toMatchObject({ step: 3, metadata: { updates: "3" } });
    expect((await unit.load(2))!.arrays.get("value/w")).toEqual({ shape: [1], data: Float32Array.of(2) });
    await expect(unit.load(1)).rejects.toMatchObject({ name: "RunError", code: "noCheckpoint", message: expect.stringContaining("3, 2") });
  });

  test("are each unit's own, and saved again they replace the one before", async () => {
    const store = memoryStore();
    await (await store.openUnit("a")).save(state(1));
    await (await store.openUnit("b")).save(state(2));
    await (await store.openUnit("a")).save(state(1, Float32Array.of(7)));
    const [a, b] = [await store.openUnit("a"), await store.openUnit("b")];
    expect((await a.load(1))!.arrays.get("value/w")!.data).toEqual(Float32Array.of(7));
    expect(await a.load()).toMatchObject({ step: 1 });
    expect(await b.load()).toMatchObject({ step: 2 });
  });
});
