import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { objectiveResult } from "../../test/support/objectiveCheck.ts";
import { trainedValues } from "../../test/support/trained.ts";
import { nextToken } from "../baselines/index.ts";
import { classNoise, logNormalNoise, partition } from "../diffusion/index.ts";
import { autoregressive } from "../models/index.ts";
import { fold, integer, key, normal } from "../random.ts";
import { type Batch, type Caller, createCaller, type LanguageModel, overlappingText } from "../train/index.ts";
import { convertLanguage, type LanguageBlocks, type LanguageBlocksOptions } from "./languageBlocks.ts";
import { levelFeeds } from "./levels.ts";

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
  ["readings of their own", {}],
  ["stacked readings", { reading: "stacked" }],
  ["as published", { query: "blank", labelLikelihood: "learned", targetEmbedding: "learned", lossWeighting: "edm", initialGate: 0 }],
  ["with the next token's cross-entropy", { reading: "stacked", nextTokenWeight: 0.5 }],
];

describe.each(ways)("blocks with %s", (_, options) => {
  const method = inBlocks(options);

  test("gradients agree with central differences, in blocks that read frozen ones too", async () => {
    for (const unit of method.units)
      expect((await objectiveResult(cpu, method, unit, tinyText(0), { at: shaken })).gradientError).toBeLessThan(1e-2);
  });

  test("estimates depend on the tokens before and on their own noisy embedding, and on nothing else, to the last bit", async () => {
    await using caller = callerOf(method);
    const tokens = tinyText(1).input as Int32Array;
    const z = new Float32Array(batchSize * length * width);
    normal(key("z"), z);
    const levels = levelFeeds(new Float32Array(batchSize).fill(3), noise.sigmaData);
    const ask = async (program: string, own: Int32Array, noisy: Float32Array): Promise<Float32Array> =>
      (await caller.call(program, { tokens: own, z: noisy, ...levels })).logits as Float32Array;
    const at = 6;
    const rows = (logits: Float32Array, from: number, to: number): Float32Array => logits.slice(from * vocabSize, to * vocabSize);
    for (const program of ["block-0", "block-1"]) {
      const before = await ask(program, tokens, z);
      const later = tokens.map((token, i) => (i % length >= at ? (token + 1) % vocabSize : token));
      const after = await ask(program, later, z);
      const elsewhere = await ask(
        program,
        tokens,
        z.map((x, i) => (Math.floor(i / width) % length === at ? x : x + 1)),
      );
      for (let row = 0; row < batchSize; row++) {
        const first = row * length;
        expect(rows(after, first, first + at + 1)).toEqual(rows(before, first, first + at + 1));
        expect(rows(after, first + at + 1, first + at + 2)).not.toEqual(rows(before, first + at + 1, first + at + 2));
        expect(rows(elsewhere, first + at, first + at + 1)).toEqual(rows(before, first + at, first + at + 1));
        expect(rows(elsewhere, first + at + 1, first + at + 2)).not.toEqual(rows(before, first + at + 1, first + at + 2));
      }
    }
  });

  test.each(["evidence", "last"] as const)(
    "generation with kept keys and values gives what reading the whole gives (%s)",
    async (readout) => {
      const walked = inBlocks({ ...options, sampling: { readout, bridge: "hard" } });
      await using caller = callerOf(walked);
      const keys = Array.from({ length: batchSize }, (_, i) => fold(key("texts"), i));
      const tokens = tinyText(2).input as Int32Array;
      const generation = walked.generate(caller.call, batchSize, keys);
      const kept: Float32Array[] = [];
      for (let place = 0; place < length; place++)
        kept.push(await generation.next(Int32Array.from(keys, (_, i) => (place === 0 ? vocabSize : tokens[i * length + place - 1]!))));
      // Anew for each place: a generation that is told all at once knows the same tokens, however it came to them.
      const again = walked.generate(caller.call, batchSize, keys);
      for (let place = 0; place < length; place++) {
        const scores = await again.next(Int32Array.from(keys, (_, i) => (place === 0 ? vocabSize : tokens[i * length + place - 1]!)));
        expect(scores).toEqual(kept[place]);
      }
      if (readout === "last") return;
      const whole = await wholeEvidence(walked, caller, keys, tokens);
      for (const [place, scores] of kept.entries())
        for (const [i, score] of scores.entries()) {
          const [row, token] = [Math.floor(i / vocabSize), i % vocabSize];
          expect(score).toBeCloseTo(whole[(row * length + place) * vocabSize + token]!, 4);
        }
    },
  );
});

/** What `generate` says at each place, from the programs that read the whole text at once. */
async function wholeEvidence(
  method: LanguageBlocks,
  caller: Caller,
  keys: readonly ReturnType<typeof key>[],
  tokens: Int32Array,
): Promise<Float32Array> {
  const answering = method.reading === "stacked" ? [1] : [0, 1];
  const sum = new Float32Array(batchSize * length * vocabSize);
  for (const b of answering) {
    const [low, high] = method.partition.ranges[b]!;
    const sigma = b === 0 ? high : high * (low / high) ** 0.01;
    const z = new Float32Array(batchSize * length * width);
    for (const [i, own] of keys.entries())
      for (let place = 0; place < length; place++)
        normal(fold(fold(own, place), `entry ${b}`), z.subarray((i * length + place) * width, (i * length + place + 1) * width));
    const levels = levelFeeds(new Float32Array(batchSize).fill(sigma), noise.sigmaData);
    const said = (await caller.call(`block-${b}`, { tokens, z: z.map((x) => x * sigma), ...levels })).evidence as Float32Array;
    for (const [i, score] of said.entries()) sum[i]! += score / answering.length;
  }
  return sum;
}

test("end-to-end training: gradients, no leak, and generation with kept keys and values", async () => {
  const method = nextToken(network);
  expect((await objectiveResult(cpu, method, method.units[0]!, tinyText(0), { at: shaken })).gradientError).toBeLessThan(1e-2);
  await using caller = callerOf(method);
  const tokens = tinyText(3).input as Int32Array;
  const nats = (await caller.call("network", { tokens })).nats as Float32Array;
  const later = tokens.map((token, i) => (i % length > 5 ? (token + 2) % vocabSize : token));
  const other = (await caller.call("network", { tokens: later })).nats as Float32Array;
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

describe.each([
  ["end to end", () => nextToken(network)],
  ["in blocks", () => inBlocks()],
  ["in stacked blocks", () => inBlocks({ reading: "stacked" })],
] as const)("trained %s on a small language", (_, build) => {
  test("every likelihood comes near to the language's entropy", async () => {
    const method = build();
    const values = await trainedValues(method, {
      device: cpu,
      batchSize: 16,
      steps: 400,
      learningRate: 1e-2,
      at: (index) => tinyText(index, 16),
    });
    await using caller = createCaller(method, { device: cpu, values, batchSize: 16 });
    const count = 400;
    const text = { tokens: tinyText(900, count).input as Int32Array, count, from: () => 2 };
    const likelihoods = Object.values(await method.likelihoods(caller.call, 16, text, key(5)));
    for (const { nats, error = 0 } of likelihoods) {
      expect(nats).toBeGreaterThan(entropy - 0.05 - 4 * error);
      expect(nats).toBeLessThan(entropy + 0.25 + 4 * error); // ln 5 = 1.61 knows nothing
    }
  });
});
