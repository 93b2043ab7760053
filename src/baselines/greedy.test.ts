import { expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { accuracyOf, createPredictor } from "../inference/classify.ts";
import { adamW } from "../optim/index.ts";
import { key } from "../random.ts";
import { grad, input } from "../tensor/index.ts";
import { type Classifier, createTrainer, train, type UnitSchedule } from "../train/index.ts";
import { type GreedyOptions, greedy } from "./greedy.ts";

const batchSize = 16;
const build = (options: Partial<GreedyOptions> = {}): Classifier => greedy(tinyVit({ dropout: 0.1 }), { numGroups: 3, ...options });

/** The values of the finished units, and the frozen parameters that each saw at its end. */
async function trained(schedule: UnitSchedule, steps: number, method = build()) {
  const seen = new Map<string, ReadonlyMap<string, Float32Array>>();
  const { values } = await train(method, {
    device: await device("cpu"),
    batches: { stepsPerEpoch: 5, at: (index) => tinyBatch(index, batchSize) },
    batchSize,
    steps,
    schedule,
    optimizer: adamW(),
    learningRate: () => 5e-3,
    seed: 1,
    onUnitDone: ({ name, frozen }, present) => {
      seen.set(name, new Map([...frozen.keys()].map((path) => [path, present(path).slice()])));
    },
  });
  return { values, seen };
}

test("every parameter of the network is trained by one group; classifiers are its own", () => {
  const { units } = build();
  const paths = units.flatMap(({ trainable }) => [...trainable.keys()]);
  expect(new Set(paths).size).toBe(paths.length);
  expect(paths.filter((path) => path.includes("/stem"))).toEqual([...units[0]!.trainable.keys()].filter((path) => path.includes("/stem")));
  for (const [group, { name }] of units.entries()) {
    expect(paths.some((path) => path.startsWith(`${name}/layers.${group}.`))).toBe(true);
    expect(paths.some((path) => path.startsWith(`${name}/head.`))).toBe(true);
  }
});

test.each(build().units.map(({ name }) => name))("%s has gradients for its own parameters, and builds on those before it", (name) => {
  const method = build();
  const unit = method.units.find((one) => one.name === name)!;
  const batch = { input: input("input", [batchSize, 1, 4, 4]), labels: input("labels", [batchSize], "int32") };
  const { loss } = method.objective(unit, batch, key(0), {});
  expect(() => grad(loss, [...unit.trainable.values()])).not.toThrow();
  const later = method.units.slice(method.units.indexOf(unit) + 1).flatMap(({ trainable }) => [...trainable.values()]);
  for (const tensor of later) expect(() => grad(loss, [tensor])).toThrow(/does not depend/);
});

test("in sequence, a group sees what the groups before it have learned, and leaves it as it is", async () => {
  const { values, seen } = await trained("sequential", 5);
  for (const [path, frozen] of seen.get("group-2")!) expect(frozen).toEqual(values(path));
  const untrained = await trained("sequential", 0);
  const layer = [...seen.get("group-2")!.keys()].find((path) => path.endsWith("layers.0.mlp.up.weight"))!;
  expect(values(layer)).not.toEqual(untrained.values(layer));
});

test("checkpointing gives the same parameters, bit for bit", async () => {
  const after = async (checkpointing: boolean): Promise<Float32Array[]> => {
    const method = build();
    const [unit, cpu] = [method.units[1]!, await device("cpu")];
    const options = { unit, device: cpu, batchSize, optimizer: adamW(), learningRate: () => 5e-3, seed: 2, checkpointing };
    await using trainer = await createTrainer(method, options);
    for (let step = 0; step < 3; step++) await trainer.step(tinyBatch(step, batchSize));
    return [...trainer.state.parameters.values()].map(({ value }) => value.slice());
  };
  expect(await after(true)).toEqual(await after(false));
});

test.each(["last", "ensemble"] as const)("learns a small problem (%s)", async (readout) => {
  const method = build({ readout });
  const { values } = await trained("sequential", 60, method);
  await using predictor = createPredictor(method, { device: await device("cpu"), values, batchSize });
  const labelled = Array.from({ length: 8 }, (_, i) => ({ ...tinyBatch(1000 + i, batchSize), count: batchSize }));
  expect(await accuracyOf(predictor, labelled)).toBeGreaterThan(0.7);
});
