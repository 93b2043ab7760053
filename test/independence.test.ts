import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert, type DiffusionBlocks } from "../src/blocks/index.ts";
import { edmNoise, partition } from "../src/diffusion/index.ts";
import { adamW } from "../src/optim/index.ts";
import { type Device, openDevice } from "../src/runtime/index.ts";
import { add, grad, input, type Tensor } from "../src/tensor/index.ts";
import { createTrainer, independent, type TrainingMethod, traceStep, train, type UnitSchedule } from "../src/train/index.ts";
import { parametersIn } from "../src/verify/graph.ts";
import { checkIsolation } from "../src/verify/index.ts";
import { tinyBatch, tinyVit } from "./support/tiny.ts";

const [steps, batchSize, seed] = [20, 8, 7];

/** Symbols are made anew: nothing but the options is common to two of these. */
function blocks(): DiffusionBlocks {
  return convert(tinyVit({ dropout: 0.1 }), {
    partition: partition({ numBlocks: 3, noise: edmNoise, overlap: 0.1 }),
    condWidth: 4,
    lossWeighting: "edm",
  });
}

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

type Weights = ReadonlyMap<string, Float32Array>;

/** All weights after `steps` steps of each unit by the one loop. */
async function trained(schedule: UnitSchedule, names?: readonly string[]): Promise<Weights> {
  const method = blocks();
  const { values } = await train(method, {
    device,
    batches: { stepsPerEpoch: 5, at: (index) => tinyBatch(index, batchSize) },
    batchSize,
    steps,
    schedule,
    units: names,
    optimizer: adamW(),
    learningRate: () => 5e-3,
    seed,
    emaDecay: 0.9,
  });
  const units = method.units.filter(({ name }) => names?.includes(name) ?? true);
  return new Map(units.flatMap(({ trainable }) => [...trainable.keys()].map((path) => [path, values(path)] as const)));
}

/** One block in a process of its own: a fresh device, method and trainer, and nothing of the others. */
async function trainedAlone(b: number, ownSeed = seed): Promise<Weights> {
  const method = blocks();
  await using own = await openDevice("cpu", { threads: 1 });
  await using trainer = await createTrainer(method, {
    unit: method.units[b]!,
    device: own,
    batchSize,
    optimizer: adamW(),
    learningRate: () => 5e-3,
    seed: ownSeed,
    emaDecay: 0.9,
  });
  for (let step = 0; step < steps; step++) await trainer.step(tinyBatch(step, batchSize));
  return new Map([...method.units[b]!.trainable.keys()].map((path) => [path, trainer.state.parameters.get(path)!.ema.slice()]));
}

function only(weights: Weights, unit: string): Weights {
  return new Map([...weights].filter(([path]) => path.startsWith(`${unit}/`)));
}

describe("blocks that train interleaved, in sequence, or each alone", () => {
  let interleaved: Weights;
  beforeAll(async () => {
    interleaved = await trained("interleaved");
  });

  test("end with the same weights, bit for bit", async () => {
    expect(interleaved.size).toBe(blocks().units.reduce((sum, { trainable }) => sum + trainable.size, 0));
    expect(await trained("sequential")).toEqual(interleaved);
    const alone = [await trainedAlone(2), await trainedAlone(0), await trainedAlone(1)]; // in another order
    expect(new Map(alone.flatMap((weights) => [...weights]))).toEqual(interleaved);
  });

  test("do not depend on which others take part", async () => {
    expect(await trained("interleaved", ["block-1", "block-2"])).toEqual(
      new Map([...only(interleaved, "block-1"), ...only(interleaved, "block-2")]),
    );
  });

  test("have moved, each on its own way, and another seed leads elsewhere", async () => {
    const other = await trainedAlone(1, seed + 1);
    for (const [path, values] of other) if (path.endsWith("weight")) expect(values, path).not.toEqual(interleaved.get(path));
    const suffix = "head.classifier.weight";
    expect(interleaved.get(`block-0/${suffix}`)).not.toEqual(interleaved.get(`block-1/${suffix}`));
    expect(interleaved.get(`block-0/${suffix}`)!.some((x) => x !== 0)).toBe(true); // starts at zero
  });

  test("do not depend on the seeds of the others, nor on the order of the steps", async () => {
    const method = blocks();
    const trainers = [];
    for (const [b, unit] of method.units.entries()) {
      trainers.push(
        await createTrainer(method, {
          unit,
          device,
          batchSize,
          optimizer: adamW(),
          learningRate: () => 5e-3,
          seed: b === 1 ? seed : 100 + b,
          emaDecay: 0.9,
        }),
      );
    }
    const [first, middle, last] = trainers;
    const order = [
      ...Array.from({ length: 7 }, () => last!),
      ...Array.from({ length: steps }, (_, i) => (i % 3 === 0 ? [middle!, first!] : [middle!])).flat(),
    ];
    for (const trainer of order) await trainer.step(tinyBatch(trainer.steps, batchSize));
    for (const [path, values] of only(interleaved, "block-1")) expect(middle!.state.parameters.get(path)!.ema).toEqual(values);
    for (const trainer of trainers) await trainer.dispose();
  });
});

describe("the claim of the paper: a block's step touches that block only", () => {
  const method = blocks();

  test.each(method.units)("$name: the objective has gradients for its own parameters and no other", (unit) => {
    const { objective, gradients } = traceStep(method, unit, 2);
    const own = new Set(unit.trainable.values());
    expect(parametersIn([objective.loss])).toEqual(own);
    expect(parametersIn([...gradients.values(), ...Object.values(objective.metrics)])).toEqual(own);
    expect([...gradients.keys()].sort()).toEqual([...unit.trainable.keys()].sort());
    const foreign = method.units.filter((other) => other !== unit).flatMap(({ trainable }) => [...trainable.values()]);
    expect(foreign.length).toBeGreaterThan(50);
    for (const parameter of foreign) expect(() => grad(objective.loss, [parameter])).toThrow("does not depend");
  });

  test("checkIsolation agrees, for every policy", () => {
    expect(checkIsolation(method)).toMatchObject({ ok: true });
    for (const shared of ["frozen", "together", { averageEvery: 3 }] as const) {
      const other = convert(tinyVit(), {
        partition: partition({ numBlocks: 3, noise: edmNoise }),
        shared,
        targetEmbedding: shared === "together" ? "learned" : "orthonormal",
      });
      expect(checkIsolation(other)).toMatchObject({ ok: true });
    }
  });

  // Negative controls: each of these must be seen.
  const leak = (tensor: (other: TrainingMethod) => Tensor): TrainingMethod => ({
    ...method,
    objective: (unit, batch, key, options) => {
      const own = method.objective(unit, batch, key, options);
      return unit.name === "block-1" ? { ...own, loss: add(own.loss, tensor(method)) } : own;
    },
  });
  test("a loss that reads another block's output is seen", () => {
    const through = leak(
      () =>
        method.objective(
          method.units[0]!,
          { input: input("other", [1, 1, 4, 4]), labels: input("otherLabels", [1], "int32") },
          { hi: 0, lo: 0 },
          {},
        ).loss,
    );
    expect(checkIsolation(through)).toMatchObject({ ok: false, detail: expect.stringContaining("the step of block-1 reads block-0/") });
  });

  test("a parameter that two units train is seen, if they are said to be independent", () => {
    const together = convert(tinyVit(), { partition: partition({ numBlocks: 3, noise: edmNoise }), shared: "together" });
    expect(checkIsolation({ ...together, order: independent })).toMatchObject({
      ok: false,
      detail: expect.stringContaining("more than one unit trains shared/stem."),
    });
  });

  test("a parameter that is said to be trained but is not used is seen", () => {
    const [first, second] = method.units;
    const idle = {
      ...first!,
      trainable: new Map([...first!.trainable, ["block-0/extra", second!.trainable.values().next().value!] as const]),
    };
    expect(
      checkIsolation({ ...method, units: [idle, second!], objective: (_, ...rest) => method.objective(first!, ...rest) }),
    ).toMatchObject({ ok: false });
  });
});
