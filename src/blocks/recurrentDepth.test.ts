import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { objectiveResult } from "../../test/support/objectiveCheck.ts";
import { trainedValues } from "../../test/support/trained.ts";
import { drawnRecurrence, recurrent } from "../baselines/index.ts";
import { classNoise, levelsAt, logNormalNoise, partition } from "../diffusion/index.ts";
import { recurrentDepth } from "../models/index.ts";
import { adamW } from "../optim/index.ts";
import { fold, integer, key, normal } from "../random.ts";
import { type Batch, type Caller, createCaller, createTrainer, type LanguageModel, type PredictionProgram } from "../train/index.ts";
import { convertRecurrent, type RecurrentBlock } from "./recurrentDepth.ts";

const cpu = await device("cpu");
const [batchSize, length, vocabSize, width] = [4, 8, 5, 16];
const network = recurrentDepth({ vocabSize, length, width, numHeads: 2, mlpWidth: 32, preludeLayers: 1, coreLayers: 2, codaLayers: 1 });
const noise = logNormalNoise({ ...classNoise, sigmaMin: 0.02 });
const denoiser = (readout: "evidence" | "last" = "evidence"): RecurrentBlock =>
  convertRecurrent(network, { partition: partition({ numBlocks: 1, overlap: 0, noise }), sampling: { readout, numSteps: 4 } });

function tinyText(index: number, count = batchSize): Batch {
  const input = new Int32Array(count * length);
  for (let i = 0; i < count; i++) {
    const own = fold(fold(key("tiny text"), index), i);
    const row = input.subarray(i * length, (i + 1) * length);
    for (let place = 0; place < length; place++)
      row[place] =
        place < 2
          ? integer(fold(own, place), vocabSize)
          : (row[place - 1]! + row[place - 2]! + (integer(fold(own, place), 8) === 0 ? 1 : 0)) % vocabSize;
  }
  return { input, labels: new Int32Array(count) };
}

function shaken(path: string, initial: Float32Array): Float32Array {
  return initial.map((x, i) => x + 0.15 * Math.sin(i + path.length));
}

function callerOf(method: LanguageModel): Caller {
  const tensors = new Map(method.units.flatMap(({ trainable }) => [...trainable]));
  const values = (path: string): Float32Array =>
    shaken(path, new Float32Array(tensors.get(path)!.shape.reduce((a, b) => a * b, 1)).fill(path.includes("gain") ? 1 : 0));
  return createCaller(method, { device: cpu, values, batchSize });
}

const keys = Array.from({ length: batchSize }, (_, i) => fold(key("texts"), i));

function precedingOf(tokens: Int32Array, place: number): Int32Array {
  return Int32Array.from(keys, (_, i) => (place === 0 ? vocabSize : tokens[i * length + place - 1]!));
}

function natsOf(scores: Float32Array, tokens: Int32Array, place: number): number[] {
  return keys.map((_, i) => {
    const row = scores.subarray(i * vocabSize, (i + 1) * vocabSize);
    return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[tokens[i * length + place]!]!;
  });
}

test("the number of recurrences has the published mean, median and tail", () => {
  const drawn = Array.from({ length: 20_000 }, (_, i) => drawnRecurrence(fold(key("p"), i), 32)).sort((a, b) => a - b);
  expect(Math.abs(drawn.reduce((a, b) => a + b) / drawn.length - 33)).toBeLessThan(0.5);
  expect(Math.abs(drawn[10_000]! - 29)).toBeLessThanOrEqual(1);
  expect(Math.abs(drawn[19_000]! - 67)).toBeLessThanOrEqual(3);
  expect(drawn.filter((p) => p < 8).length / 20_000).toBeLessThan(0.02);
});

describe("truncated backpropagation", () => {
  const method = recurrent(network, { meanRecurrence: 6, backpropDepth: 3 });

  test("gradients agree with central differences at a given state", async () => {
    const state = new Float32Array(batchSize * length * width);
    normal(key("state"), state);
    const { gradientError } = await objectiveResult(cpu, method, method.units[0]!, tinyText(0), { at: shaken, prepared: { state } });
    expect(gradientError).toBeLessThan(1e-2);
  });

  test("generation with kept keys and values, some for each recurrence, says what reading the whole text says", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(2).input as Int32Array;
    const text = { tokens, count: batchSize, from: () => 0 };
    const { "6 recurrences": whole } = await method.likelihoods(caller.call, batchSize, text, key("texts"));
    const generation = method.generate(caller.call, batchSize, keys);
    const nats: number[] = [];
    for (let place = 0; place < length; place++) nats.push(...natsOf(await generation.next(precedingOf(tokens, place)), tokens, place));
    expect(nats.reduce((a, b) => a + b) / nats.length).toBeCloseTo(whole!.nats, 4);
  });

  test("a later token changes nothing before it", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(3).input as Int32Array;
    const other = tokens.map((token, i) => (i % length > 4 ? (token + 1) % vocabSize : token));
    const [a, b] = [await natsAt(caller, tokens), await natsAt(caller, other)];
    for (let i = 0; i < a.length; i++) if (i % length <= 4) expect(b[i]).toBe(a[i]);
  });

  async function natsAt({ call }: Caller, tokens: Int32Array): Promise<Float32Array> {
    const [prelude, core, coda] = method.programs as readonly PredictionProgram[];
    const { embedded } = await call(prelude!, { tokens });
    let state: Float32Array = new Float32Array(batchSize * length * width).fill(0.3);
    for (let i = 0; i < 3; i++) state = (await call(core!, { state, embedded: embedded! })).next!;
    return (await call(coda!, { state, tokens })).nats!;
  }

  test("a step prepares its state with the parameters as they are: two trainers that make the same steps agree", async () => {
    const losses: number[][] = [];
    for (let run = 0; run < 2; run++) {
      await using trainer = await createTrainer(method, {
        device: cpu,
        unit: method.units[0]!,
        batchSize,
        optimizer: adamW({ weightDecay: 0 }),
        learningRate: () => 3e-3,
        seed: 7,
      });
      const own: number[] = [];
      for (let step = 0; step < 12; step++) own.push((await trainer.step(tinyText(step))).loss);
      losses.push(own);
    }
    expect(losses[0]).toEqual(losses[1]);
    expect(losses[0]!.at(-1)).toBeLessThan(losses[0]![0]!);
  });
});

describe("recurrence as denoising", () => {
  const method = denoiser();

  test("gradients agree with central differences", async () => {
    expect((await objectiveResult(cpu, method, method.units[0]!, tinyText(0), { at: shaken })).gradientError).toBeLessThan(1e-2);
  });

  test("estimates depend on the tokens before, on their own noisy embedding and on those before it, to the last bit", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(1).input as Int32Array;
    const z = new Float32Array(batchSize * length * width);
    normal(key("z"), z);
    const levels = levelsAt(3, noise, batchSize);
    const ask = async (own: Int32Array, noisy: Float32Array): Promise<Float32Array> =>
      (await caller.call(method.blocks[0]!.estimate, { tokens: own, z: noisy, ...levels })).logits;
    const at = 4;
    const a = await ask(tokens, z);
    const later = await ask(
      tokens.map((token, i) => (i % length >= at ? (token + 1) % vocabSize : token)),
      z.map((x, i) => (Math.floor(i / width) % length > at ? x + 1 : x)),
    );
    for (let row = 0; row < batchSize; row++) {
      const rows = (x: Float32Array, from: number, to: number): Float32Array =>
        x.slice((row * length + from) * vocabSize, (row * length + to) * vocabSize);
      expect(rows(later, 0, at + 1)).toEqual(rows(a, 0, at + 1));
      expect(rows(later, at + 1, at + 2)).not.toEqual(rows(a, at + 1, at + 2));
    }
  });

  test("generation with kept keys and values says what reading the whole text says", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(2).input as Int32Array;
    const generation = method.generate(caller.call, batchSize, keys);
    const z = new Float32Array(batchSize * length * width);
    for (const [i, own] of keys.entries())
      for (let place = 0; place < length; place++)
        normal(fold(fold(own, place), "start"), z.subarray((i * length + place) * width, (i * length + place + 1) * width));
    const sigma = noise.sigmaMax;
    const levels = levelsAt(sigma, noise, batchSize);
    const whole = (await caller.call(method.blocks[0]!.estimate, { tokens, z: z.map((x) => x * sigma), ...levels })).evidence;
    for (let place = 0; place < length; place++) {
      const scores = await generation.next(precedingOf(tokens, place));
      for (const [i, score] of scores.entries())
        expect(score).toBeCloseTo(whole[(Math.floor(i / vocabSize) * length + place) * vocabSize + (i % vocabSize)]!, 4);
    }
  });

  test("a walk down the levels goes on from the tokens that were chosen, and is the same again", async () => {
    const walking = denoiser("last");
    await using caller = callerOf(walking);
    const tokens = tinyText(2).input as Int32Array;
    const said: Float32Array[][] = [];
    for (const last of [0, 0, 1]) {
      const generation = walking.generate(caller.call, batchSize, keys);
      const own: Float32Array[] = [];
      for (let place = 0; place < length; place++)
        own.push(await generation.next(precedingOf(tokens, place).map((token) => (place === 3 ? (token + last) % vocabSize : token))));
      said.push(own);
    }
    expect(said[1]).toEqual(said[0]);
    expect(said[2]!.slice(0, 3)).toEqual(said[0]!.slice(0, 3));
    expect(said[2]![4]).not.toEqual(said[0]![4]);
  });

  test("trained on a small language it comes near to the language's entropy", async () => {
    const values = await trainedValues(method, {
      device: cpu,
      batchSize: 16,
      steps: 400,
      learningRate: 1e-2,
      at: (index) => tinyText(index, 16),
    });
    await using caller = createCaller(method, { device: cpu, values, batchSize: 16 });
    const text = { tokens: tinyText(900, 320).input as Int32Array, count: 320, from: () => 2 };
    const entropy = -(7 / 8) * Math.log(7 / 8) - (1 / 8) * Math.log(1 / 8);
    for (const { nats, error = 0 } of Object.values(await method.likelihoods(caller.call, 16, text, key(5)))) {
      expect(nats).toBeGreaterThan(entropy - 0.05 - 4 * error);
      expect(nats).toBeLessThan(entropy + 0.3 + 4 * error);
    }
  });
});
