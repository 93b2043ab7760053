import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { objectiveResult } from "../../test/support/objectiveCheck.ts";
import { trainedValues } from "../../test/support/trained.ts";
import { nextToken } from "../baselines/index.ts";
import {
  blockOfSigma,
  classNoise,
  denoisedEstimate,
  eulerStep,
  levelsAt,
  logNormalNoise,
  partition,
  samplingLevels,
} from "../diffusion/index.ts";
import { overlappingText, placeNoise } from "../inference/index.ts";
import { autoregressive } from "../models/index.ts";
import { fold, integer, key, normal } from "../random.ts";
import { type Batch, type Caller, createCaller, type LanguageModel, type Likelihood, type PredictionProgram } from "../train/index.ts";
import { convertLanguage, type LanguageBlocks, type LanguageBlocksOptions } from "./nextTokens.ts";

const cpu = await device("cpu");
const [batchSize, length, vocabSize, width] = [4, 10, 5, 16];
const network = autoregressive({ vocabSize, length, width, numLayers: 4, numHeads: 4, numKeyHeads: 2, mlpWidth: 32 });
const noise = logNormalNoise({ ...classNoise, sigmaMin: 0.02 });
const inBlocks = (options: Partial<LanguageBlocksOptions> = {}): LanguageBlocks =>
  convertLanguage(network, { partition: partition({ numBlocks: 2, noise }), ...options });

/** Each token is the sum of the two before it, plus 1 one time in eight: entropy 0.377 nats from the third token on. */
function tinyText(index: number, count = batchSize): Batch {
  const input = new Int32Array(count * length);
  for (let i = 0; i < count; i++) {
    const own = fold(fold(key("tiny text"), index), i);
    const row = input.subarray(i * length, (i + 1) * length);
    for (let place = 0; place < length; place++) {
      const surprise = integer(fold(own, place), 8) === 0 ? 1 : 0;
      row[place] = place < 2 ? integer(fold(own, place), vocabSize) : (row[place - 1]! + row[place - 2]! + surprise) % vocabSize;
    }
  }
  return { input, labels: new Int32Array(count) };
}

const entropy = -(7 / 8) * Math.log(7 / 8) - (1 / 8) * Math.log(1 / 8);

function shaken(path: string, initial: Float32Array): Float32Array {
  return initial.map((x, i) => x + 0.2 * Math.sin(i + path.length));
}

function callerOf(method: LanguageModel, count = batchSize): Caller {
  const tensors = new Map(method.units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const values = (path: string): Float32Array => {
    const { shape } = tensors.get(path)!;
    return shaken(path, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  };
  return createCaller(method, { device: cpu, values, batchSize: count });
}

const ways: readonly (readonly [string, Partial<LanguageBlocksOptions>])[] = [
  ["context streams of their own", {}],
  ["stacked context streams", { context: "stacked" }],
  ["as published", { query: "blank", labelLikelihood: "learned", targetEmbedding: "learned", lossWeighting: "edm", initialGate: 0 }],
  ["with the next token's cross-entropy", { context: "stacked", nextTokenWeight: 0.5 }],
  ["in turn on the whole network", { context: "stacked", nextTokenWeight: 2, nextTokenPlace: "network" }],
  ["scheduled sampling", { scheduledSampling: 0.5 }],
  ["groups of tokens", { groupSize: 2 }],
  ["stacked groups of tokens, blank at first", { groupSize: 5, context: "stacked", query: "blank" }],
];

const noiseOf = (name: string, count: number): Float32Array => {
  const out = new Float32Array(count);
  normal(key(name), out);
  return out;
};

describe.each(ways)("blocks with %s", (_, options) => {
  const method = inBlocks(options);
  const { groupSize } = method;

  test("gradients agree with central differences, in blocks that read frozen ones too", async () => {
    for (const unit of method.units) {
      const prepared = method.prepare && unit.name !== "block-0" ? { reached: noiseOf("reached", batchSize * length * width) } : {};
      const { gradientError } = await objectiveResult(cpu, method, unit, tinyText(0), { at: shaken, prepared });
      expect(gradientError).toBeLessThan(1e-2);
    }
  });

  test("next-token heads depend on the tokens before, and on nothing else, to the last bit", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(1).input as Int32Array;
    const later = tokens.map((token, i) => (i % length > 5 ? (token + 2) % vocabSize : token));
    for (const { nextTokenLoss } of method.blocks) {
      if (nextTokenLoss === undefined) continue;
      const [before, after] = [await caller.call(nextTokenLoss, { tokens }), await caller.call(nextTokenLoss, { tokens: later })];
      for (let i = 0; i < tokens.length; i++) if (i % length <= 5) expect(after.nats[i]).toBe(before.nats[i]);
    }
  });

  test("estimates depend on the tokens before their group and on the noisy embeddings in it, and on nothing else, to the last bit", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(1).input as Int32Array;
    const z = new Float32Array(batchSize * length * width);
    normal(key("z"), z);
    const levels = levelsAt(3, noise, batchSize);
    type Estimate = LanguageBlocks["blocks"][number]["estimate"];
    const ask = async (program: Estimate, own: Int32Array, noisy: Float32Array): Promise<Float32Array> =>
      (await caller.call(program, { tokens: own, z: noisy, ...levels })).logits;
    const at = groupSize === 5 ? 0 : 6; // the first of its group
    const end = at + groupSize;
    const rows = (logits: Float32Array, from: number, to: number): Float32Array => logits.slice(from * vocabSize, to * vocabSize);
    for (const { estimate: program } of method.blocks) {
      const before = await ask(program, tokens, z);
      const later = tokens.map((token, i) => (i % length >= at ? (token + 1) % vocabSize : token));
      const after = await ask(program, later, z);
      const elsewhere = await ask(
        program,
        tokens,
        z.map((x, i) => (Math.floor(i / width) % length >= at && Math.floor(i / width) % length < end ? x : x + 1)),
      );
      const inGroup = await ask(
        program,
        tokens,
        z.map((x, i) => (Math.floor(i / width) % length === end - 1 ? x + 1 : x)),
      );
      for (let row = 0; row < batchSize; row++) {
        const first = row * length;
        expect(rows(after, first, first + end)).toEqual(rows(before, first, first + end));
        expect(rows(after, first + end, first + end + 1)).not.toEqual(rows(before, first + end, first + end + 1));
        expect(rows(elsewhere, first + at, first + end)).toEqual(rows(before, first + at, first + end));
        expect(rows(elsewhere, first + end, first + end + 1)).not.toEqual(rows(before, first + end, first + end + 1));
        const others = rows(before, first + at, first + end - 1);
        if (groupSize > 1) expect(rows(inGroup, first + at, first + end - 1)).not.toEqual(others);
      }
    }
  });

  const readouts = (["evidence", "last", "next-token"] as const).filter(
    (readout) => readout !== "next-token" || method.blocks.some(({ nextToken: head }) => head !== undefined),
  );
  test.each(groupSize > 1 ? (["last"] as const) : readouts)(
    "generation with kept keys and values gives what reading the whole gives (%s)",
    async (readout) => {
      const model = inBlocks({ ...options, sampling: { readout, numSteps: 3 } });
      await using caller = callerOf(model);
      const keys = Array.from({ length: batchSize }, (_, i) => fold(key("texts"), i));
      const tokens = tinyText(2).input as Int32Array;
      const generation = model.generate(caller.call, batchSize, keys);
      const whole =
        readout === "last" ? await wholeReverse(model, caller, keys, tokens) : await wholePredictions(model, caller, keys, tokens);
      for (let place = 0; place < length; place += groupSize) {
        const scores = await generation.next(groupBefore(tokens, place, groupSize));
        for (const [i, score] of scores.entries()) {
          const [row, own, token] = [Math.floor(i / groupSize / vocabSize), Math.floor(i / vocabSize) % groupSize, i % vocabSize];
          expect(score).toBeCloseTo(whole[(row * length + place + own) * vocabSize + token]!, 3);
        }
      }
    },
  );
});

/** The group before a place, as a generation is told it. */
function groupBefore(tokens: Int32Array, place: number, groupSize: number): Int32Array {
  return Int32Array.from({ length: batchSize * groupSize }, (_, i) =>
    place === 0 ? vocabSize : tokens[Math.floor(i / groupSize) * length + place - groupSize + (i % groupSize)]!,
  );
}

type Keys = readonly ReturnType<typeof key>[];

/** Of each place, the normal numbers of this name. */
function wholeNoise(keys: Keys, name: string): Float32Array {
  return placeNoise(keys, name, { position: 0, count: length, batchSize, width });
}

/** The mean prediction of the blocks at each place, from the programs that read the whole text at once. */
async function wholePredictions(method: LanguageBlocks, caller: Caller, keys: Keys, tokens: Int32Array): Promise<Float32Array> {
  const sum = new Float32Array(batchSize * length * vocabSize);
  for (const b of method.answering) {
    const [low, high] = method.partition.ranges[b]!;
    const sigma = b === 0 ? high : high * (low / high) ** 0.01;
    const levels = levelsAt(sigma, noise, batchSize);
    const z = wholeNoise(keys, `entry ${b}`).map((x) => x * sigma);
    const { estimate, nextToken: head } = method.blocks[b]!;
    const logits =
      method.sampling.readout === "next-token"
        ? (await caller.call(head!, { tokens })).logits
        : (await caller.call(estimate, { tokens, z, ...levels })).evidence;
    for (const [i, logit] of logits.entries()) sum[i]! += logit / method.answering.length;
  }
  return sum;
}

/** The same of the reverse process, which each place goes through by itself. */
async function wholeReverse(method: LanguageBlocks, caller: Caller, keys: Keys, tokens: Int32Array): Promise<Float32Array> {
  const grid = samplingLevels(method.sampling, method.partition);
  const { table } = await caller.call(method.table, {});
  let z: Float32Array = wholeNoise(keys, "start").map((x) => x * Math.sqrt(1 + grid[0]! ** 2));
  let logits: Float32Array = z;
  for (const [i, sigma] of grid.entries()) {
    const levels = levelsAt(sigma, noise, batchSize);
    logits = (await caller.call(method.blocks[blockOfSigma(method.partition, sigma)]!.estimate, { tokens, z, ...levels })).logits;
    const denoised = denoisedEstimate("soft", logits, table, vocabSize, key(0));
    if (i + 1 < grid.length) z = eulerStep({ z, denoised, sigma, sigmaNext: grid[i + 1]! });
  }
  return logits;
}

test("states that are reached are where the reverse process from pure noise enters the next block; the first block has none", async () => {
  const method = inBlocks({ scheduledSampling: 0.5 });
  await using caller = callerOf(method);
  const batch = tinyText(4);
  expect(await method.prepare!(method.units[0]!, batch, key(3), caller.call)).toEqual({});
  const { reached } = await method.prepare!(method.units[1]!, batch, key(3), caller.call);
  const [high, entry] = samplingLevels({ grid: "block-entry" }, method.partition) as [number, number];
  const start = new Float32Array(batchSize * length * width);
  normal(fold(key(3), "walk"), start);
  const z = start.map((x) => x * Math.sqrt(1 + high ** 2));
  const levels = levelsAt(high, noise, batchSize);
  const { logits } = await caller.call(method.blocks[0]!.estimate, { tokens: batch.input as Int32Array, z, ...levels });
  const { table } = await caller.call(method.table, {});
  const denoised = denoisedEstimate("soft", logits, table, vocabSize, key(0));
  const expected = eulerStep({ z, denoised, sigma: high, sigmaNext: entry });
  for (const [i, x] of (reached as Float32Array).entries()) expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-4 * entry);
});

test("tokens of a group that are known decide what the others are estimated from", async () => {
  const method = inBlocks({ groupSize: 2 });
  await using caller = callerOf(method);
  const keys = Array.from({ length: batchSize }, (_, i) => fold(key("texts"), i));
  const first = groupBefore(new Int32Array(0), 0, 2);
  const scores = await Promise.all(
    [undefined, Int32Array.of(1, -1, 1, -1, 1, -1, 1, -1), Int32Array.of(2, -1, 2, -1, 2, -1, 2, -1)].map((known) =>
      method.generate(caller.call, batchSize, keys).next(first, known),
    ),
  );
  const second = scores.map((all) => all.slice(vocabSize, 2 * vocabSize));
  expect(second[0]).not.toEqual(second[1]);
  expect(second[1]).not.toEqual(second[2]);
});

test.each([
  ["stackedSharing", { context: "stacked", shared: "together" }],
  ["stackedSharing", { scheduledSampling: 0.5, shared: "together" }],
  ["throughNetwork", { nextTokenWeight: 1, nextTokenPlace: "network" }],
  ["groupSize", { groupSize: 3 }],
  ["groupsSeen", { groupSize: 2, nextTokenWeight: 1 }],
  ["noNextTokenHead", { sampling: { readout: "next-token" } }],
] as const)("options that do not go together are refused: %s", (code, options) => {
  expect(() => inBlocks(options)).toThrow(expect.objectContaining({ code }));
});

test("end-to-end training: gradients, no leak, and generation with kept keys and values", async () => {
  const method = nextToken(network);
  const whole = method.programs[0] as PredictionProgram<"tokens", "nats">;
  expect((await objectiveResult(cpu, method, method.units[0]!, tinyText(0), { at: shaken })).gradientError).toBeLessThan(1e-2);
  await using caller = callerOf(method);
  const tokens = tinyText(3).input as Int32Array;
  const nats = (await caller.call(whole, { tokens })).nats;
  const later = tokens.map((token, i) => (i % length > 5 ? (token + 2) % vocabSize : token));
  const other = (await caller.call(whole, { tokens: later })).nats;
  for (let i = 0; i < nats.length; i++) if (i % length <= 5) expect(other[i]).toBe(nats[i]);
  const generation = method.generate(caller.call, batchSize, []);
  for (let place = 0; place < length; place++) {
    const scores = await generation.next(
      Int32Array.from({ length: batchSize }, (_, i) => (place === 0 ? vocabSize : tokens[i * length + place - 1]!)),
    );
    for (let i = 0; i < batchSize; i++) {
      const row = scores.subarray(i * vocabSize, (i + 1) * vocabSize);
      const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
      expect(total - row[tokens[i * length + place]!]!).toBeCloseTo(nats[i * length + place]!, 4);
    }
  }
});

test("the integral over noise levels is ln V for a network that knows nothing: the best estimate from the noisy embedding alone has a closed form", async () => {
  const method = inBlocks();
  const tensors = new Map(method.units.flatMap(({ trainable }) => [...trainable]));
  const values = (path: string): Float32Array => new Float32Array(tensors.get(path)!.shape.reduce((a, b) => a * b, 1));
  await using caller = createCaller(method, { device: cpu, values, batchSize: 16 });
  const text = overlappingText(
    Int32Array.from({ length: 6000 }, (_, i) => integer(fold(key("uniform"), i), vocabSize)),
    length,
  );
  const { diffusion, "block 0": entry } = await method.likelihoods(caller.call, 16, text, key(1));
  expect(entry!.nats).toBeCloseTo(Math.log(vocabSize), 5);
  expect(Math.abs(diffusion!.nats - Math.log(vocabSize))).toBeLessThan(4 * diffusion!.error!);
  expect(diffusion!.error).toBeLessThan(0.05);
});

test("every token is measured once, with at least half a sequence before it", () => {
  const text = overlappingText(
    Int32Array.from({ length: 103 }, (_, i) => i),
    10,
  );
  const counted = Array.from({ length: text.count }, (_, i) => [...text.tokens.subarray(i * 10 + text.from(i), (i + 1) * 10)]).flat();
  expect(counted).toEqual(Array.from({ length: 100 }, (_, i) => i));
  const short = overlappingText(Int32Array.of(7, 8, 9), 10);
  expect([short.count, short.from(0), short.to, ...short.tokens.subarray(0, 3)]).toEqual([1, 0, 3, 7, 8, 9]);
});

/** Of texts that were not trained on, from the third token on. */
async function learnedLikelihoods(method: LanguageModel): Promise<Readonly<Record<string, Likelihood>>> {
  const training = { device: cpu, batchSize: 16, steps: 400, learningRate: 5e-3, at: (index: number) => tinyText(index, 16) };
  await using caller = createCaller(method, { device: cpu, values: await trainedValues(method, training), batchSize: 16 });
  const text = { tokens: tinyText(900, 400).input as Int32Array, count: 400, from: () => 2 };
  return await method.likelihoods(caller.call, 16, text, key(5));
}

describe.each([
  ["end to end", () => nextToken(network)],
  ["in blocks", () => inBlocks()],
  [
    "in turn on the whole network",
    () => inBlocks({ context: "stacked", nextTokenWeight: 1, nextTokenPlace: "network", sampling: { readout: "next-token" } }),
  ],
] as const)("trained %s on a small language", (_, build) => {
  test("every likelihood comes near to the language's entropy", async () => {
    const method = build();
    const likelihoods = Object.entries(await learnedLikelihoods(method));
    // Blocks that take turns on the loss of the whole network have context streams made for it.
    const wanted = "sampling" in method ? likelihoods.filter(([name]) => name.startsWith("next-token head")) : likelihoods;
    for (const [, { nats, error = 0 }] of wanted.length > 0 ? wanted : likelihoods) {
      expect(nats).toBeGreaterThan(entropy - 0.05 - 4 * error);
      expect(nats).toBeLessThan(entropy + 0.25 + 4 * error); // ln 5 = 1.61 knows nothing
    }
  });
});

test("trained on groups of two: tokens that are independent within a group have their own entropy, and the bound comes first", async () => {
  const method = inBlocks({ groupSize: 2 });
  const likelihoods = await learnedLikelihoods(method);
  expect(Object.keys(likelihoods)).toEqual(["diffusion", "blocks together", "block 0", "block 1"]);
  const { diffusion, "blocks together": together } = likelihoods;
  // Two surprises decide the second token of a group, by itself 0.602 nats: the mean of both is entropy + 0.112.
  expect(together!.nats).toBeGreaterThan(entropy + 0.112 - 0.05);
  expect(together!.nats).toBeLessThan(entropy + 0.112 + 0.25);
  expect(diffusion!.nats).toBeGreaterThan(entropy - 4 * diffusion!.error!);
  expect(diffusion!.nats).toBeLessThan(together!.nats + 0.2 + 4 * diffusion!.error!);
});
