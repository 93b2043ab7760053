import { describe, expect, test } from "vitest";
import { describeOnDevices, device, devices } from "../../test/support/devices.ts";
import { memoryGrowth } from "../../test/support/memoryGrowth.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { endToEnd } from "../baselines/index.ts";
import { convert } from "../blocks/index.ts";
import { classNoise, edmNoise, partition } from "../diffusion/index.ts";
import { encodeModel } from "../onnx/index.ts";
import { adamW, type Optimizer, schedule, sgd } from "../optim/index.ts";
import type { Device } from "../runtime/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { restoreUnit, startArrays } from "./checkpoint.ts";
import { fullStepProgram } from "./deviceStep.ts";
import type { Classifier } from "./method.ts";
import { createTrainer, type Trainer } from "./trainer.ts";

const batchSize = 8;
const learningRate = schedule({ kind: "constant", learningRate: 1e-2, warmupSteps: 0, totalSteps: 10, floor: 1 });

function blocks(): Classifier {
  return convert(tinyVit({ dropout: 0.1 }), { partition: partition({ numBlocks: 3, noise: classNoise }) });
}

function trainerOn(own: Device, method: Classifier, options: { optimizer?: Optimizer; checkpointing?: boolean } = {}): Promise<Trainer> {
  return createTrainer(method, {
    unit: method.units[0]!,
    device: own,
    batchSize,
    optimizer: adamW(),
    learningRate,
    seed: 3,
    clipNorm: 1,
    emaDecay: 0.9,
    ...options,
  });
}

async function stateAfter(
  own: Device,
  method: Classifier,
  steps: number,
  options: Parameters<typeof trainerOn>[2] = {},
): Promise<Map<string, Float32Array>> {
  await using trainer = await trainerOn(own, method, options);
  for (let step = 0; step < steps; step++) await trainer.step(tinyBatch(step, batchSize));
  await trainer.download();
  return new Map([...trainer.state.parameters].map(([path, { value, ema }]) => [path, Float32Array.of(...value, ...ema)]));
}

describeOnDevices("the values of a network before its first step", (name) => {
  test("suffice for a trainer that has made steps with others: it goes on as a fresh one", async () => {
    const own = await device(name);
    const method = blocks();
    const first = await stateAfter(own, method, 1);
    await using trainer = await trainerOn(own, method);
    const initial = new Map([...trainer.state.parameters].map(([path, { value }]) => [path, value.slice()]));
    for (let step = 0; step < 3; step++) await trainer.step(tinyBatch(7 + step, batchSize));
    const arrays = new Map(startArrays(trainer.unit, (path) => initial.get(path)!));
    expect([...arrays.keys()].filter((path) => !/^(value|constant)\//.test(path))).toEqual([]);
    await restoreUnit(trainer, { step: 0, source: "elsewhere", arrays, metadata: { updates: "0" } });
    await trainer.step(tinyBatch(0, batchSize));
    await trainer.download();
    for (const [path, { value, ema }] of trainer.state.parameters) expect(Float32Array.of(...value, ...ema)).toEqual(first.get(path));
  });

  test("are not enough later: a state without the optimiser's numbers is refused", async () => {
    const method = blocks();
    await using trainer = await trainerOn(await device(name), method);
    const arrays = new Map(startArrays(trainer.unit, (path) => trainer.state.parameters.get(path)!.value));
    const saved = { step: 4, source: "elsewhere", arrays, metadata: { updates: "4" } };
    await expect(restoreUnit(trainer, saved)).rejects.toMatchObject({ code: "missingTensor" });
  });
});

describeOnDevices("a training step", (name) => {
  test.each([sgd(), adamW()])("of a block changes its parameters as on the CPU ($name)", async (optimizer) => {
    const [expected, actual] = [
      await stateAfter(await device("cpu"), blocks(), 3, { optimizer }),
      await stateAfter(await device(name), blocks(), 3, { optimizer }),
    ];
    for (const [path, values] of expected) {
      // The bias of the keys has no gradient but rounding, which AdamW scales up to its learning rate.
      if (path.endsWith("qkv.bias")) continue;
      for (const [i, x] of values.entries())
        expect(Math.abs(actual.get(path)![i]! - x), path).toBeLessThan(optimizer.name === "sgd" ? 1e-4 : 1e-3);
    }
  });
});

test.skipIf(!devices.includes("webgpu"))("every node of the whole step stays on WebGPU", async () => {
  const method = convert(tinyVit(), { partition: partition({ numBlocks: 3, noise: classNoise }) });
  const program = fullStepProgram({
    method,
    unit: method.units[0]!,
    batchSize,
    optimizer: adamW(),
    memory: {},
    clipNorm: 1,
    emaDecay: undefined,
  });
  const executable = await (await device("webgpu")).compile(encodeModel(program), { strictPlacement: true });
  await executable.dispose();
});

describe("the trainer", () => {
  test("learns", async () => {
    await using trainer = await trainerOn(await device("cpu"), endToEnd(tinyVit()));
    const losses: number[] = [];
    for (let step = 0; step < 60; step++) losses.push((await trainer.step(tinyBatch(step, batchSize))).loss);
    expect(losses[0]).toBeCloseTo(Math.log(4), 3);
    expect(losses.slice(-10).reduce((sum, loss) => sum + loss, 0) / 10).toBeLessThan(0.6);
  });

  test("with checkpointing makes the same steps", async () => {
    const cpu = await device("cpu");
    const [plain, checkpointed] = [await stateAfter(cpu, blocks(), 5), await stateAfter(cpu, blocks(), 5, { checkpointing: true })];
    for (const [path, values] of plain) expect(checkpointed.get(path)).toEqual(values);
  });

  test("of two half batches makes the step of the whole one", async () => {
    const cpu = await device("cpu");
    const method = endToEnd(tinyVit());
    const [a, b] = [tinyBatch(0, batchSize), tinyBatch(1, batchSize)];
    const join = (x: ArrayLike<number>, y: ArrayLike<number>): number[] => [...Array.from(x), ...Array.from(y)];
    const config = { unit: method.units[0]!, device: cpu, optimizer: adamW(), learningRate, seed: 3 };
    await using halves = await createTrainer(method, { ...config, batchSize });
    await using whole = await createTrainer(method, { ...config, batchSize: 2 * batchSize });
    await halves.step([a, b]);
    await whole.step({
      input: Float32Array.from(join(a.input as Float32Array, b.input as Float32Array)),
      labels: Int32Array.from(join(a.labels, b.labels)),
    });
    for (const [path, { gradient }] of halves.state.parameters)
      for (const [i, g] of gradient.entries()) expect(g / 2, path).toBeCloseTo(whole.state.parameters.get(path)!.gradient[i]!, 5);
  });

  test("stops at data that are not numbers and keeps the state of the step before", async () => {
    await using trainer = await trainerOn(await device("cpu"), blocks());
    await trainer.step(tinyBatch(0, batchSize));
    const before = [...trainer.state.parameters].map(([, { value }]) => value.slice());
    const bad = tinyBatch(1, batchSize);
    (bad.input as Float32Array)[5] = Number.NaN;
    await expect(trainer.step(bad)).rejects.toThrow(/block-0, step 2: the loss is NaN/);
    expect([...trainer.state.parameters].map(([, { value }]) => value)).toEqual(before);
    expect(trainer.steps).toBe(1);
  });

  test("made, used and disposed of, a trainer leaves no memory behind", async () => {
    const cpu = await device("cpu");
    const method = convert(tinyVit({ width: 64, mlpWidth: 1024 }), { partition: partition({ numBlocks: 3, noise: edmNoise }) });
    const state = 4 * 4 * [...method.units[0]!.trainable.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0); // values, gradients, slots
    const round = async (): Promise<void> => {
      await using trainer = await trainerOn(cpu, method);
      await trainer.step(tinyBatch(0, batchSize));
    };
    const limit = state / 4;
    expect(await memoryGrowth(round, { rounds: 20, limit })).toBeLessThan(limit);
  }, 60_000);
});
