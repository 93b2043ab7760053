import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { objectiveResult } from "../../test/support/objectiveCheck.ts";
import { trainedValues } from "../../test/support/trained.ts";
import { antitheticTimes, keptShare, maskingPartition, maskingWeight } from "../diffusion/index.ts";
import { maskedBound } from "../inference/maskedBound.ts";
import { drawMaskedText } from "../inference/maskedText.ts";
import { maskedDiffusion } from "../models/index.ts";
import { fold, integer, key } from "../random.ts";
import { type Batch, createCaller, sequential } from "../train/index.ts";
import { convertMasked } from "./maskedTokens.ts";

const cpu = await device("cpu");
const [batchSize, length, vocabSize] = [8, 12, 5];
const network = maskedDiffusion({ vocabSize, length, width: 32, numLayers: 3, numHeads: 2 });

/**
 * A language with little freedom: each token is the one before plus 1 or, one time in eight, plus 2. Its entropy is
 * 0.38 nats a token.
 */
function tinyText(index: number, count = batchSize): Batch {
  const input = new Int32Array(count * length);
  for (let i = 0; i < count; i++) {
    const own = fold(fold(key("tiny text"), index), i);
    let token = integer(own, vocabSize);
    for (let place = 0; place < length; place++) {
      input[i * length + place] = token;
      token = (token + (integer(fold(own, place), 8) === 0 ? 2 : 1)) % vocabSize;
    }
  }
  return { input, labels: new Int32Array(count) };
}

describe.each(["linear", "cosine"] as const)("%s schedule", (masking) => {
  test("gradients of a block's loss agree with central differences", async () => {
    const method = convertMasked(network, { partition: maskingPartition({ numBlocks: 3, schedule: masking }) });
    const at = (_: string, initial: Float32Array): Float32Array => initial.map((x, i) => (x === 0 ? 0.05 * Math.sin(i) : x));
    for (const unit of method.units)
      expect((await objectiveResult(cpu, method, unit, tinyText(0), { at })).gradientError).toBeLessThan(1e-2);
  });

  test("an untrained network is uniform, so the loss is ln V times the weighted share of masked tokens", async () => {
    const method = convertMasked(network, { partition: maskingPartition({ numBlocks: 3, schedule: masking, overlap: 0 }) });
    for (const [b, unit] of method.units.entries()) {
      const { loss } = await objectiveResult(cpu, method, unit, tinyText(0, 512));
      const times = antitheticTimes(method.partition.ranges[b]!, 4096, 0.5);
      const expected = times.reduce((sum, t) => sum + maskingWeight(masking, t) * (1 - keptShare(masking, t)), 0) / times.length;
      expect(loss / (Math.log(vocabSize) * expected)).toBeCloseTo(1, 1);
    }
  });
});

test("stacked blocks: gradients of their own parameters alone, through the frozen layers of those before; the last one has all layers", async () => {
  const method = convertMasked(network, { partition: maskingPartition({ numBlocks: 3 }), context: "stacked" });
  const at = (_: string, initial: Float32Array): Float32Array => initial.map((x, i) => (x === 0 ? 0.05 * Math.sin(i) : x));
  for (const unit of method.units) expect((await objectiveResult(cpu, method, unit, tinyText(0), { at })).gradientError).toBeLessThan(1e-2);
  expect(method.units.map(({ layerEvaluations }) => layerEvaluations)).toEqual(
    [1, 1 + 1 / 3, 1 + 2 / 3].map((layers) => expect.closeTo(layers, 9)),
  );
  const layersOf = (paths: Iterable<string>): string[] =>
    [...new Set([...paths].flatMap((path) => /layers\.\d/.exec(path)?.[0] ?? []))].sort();
  expect(layersOf(method.units[2]!.frozen.keys())).toEqual(["layers.0", "layers.1"]);
  expect(layersOf(method.units[2]!.trainable.keys())).toEqual(["layers.2"]);
  expect([...method.units[1]!.trainable.keys()].some((path) => path.includes("stem"))).toBe(false);
  expect(method.order).toBe(sequential);
  expect(() => convertMasked(network, { partition: maskingPartition({ numBlocks: 3 }), context: "stacked", shared: "together" })).toThrow(
    expect.objectContaining({ code: "stackedSharing" }),
  );
});

test.each(["own", "stacked"] as const)(
  "what is masked does not reach the network: another token there leaves every logit as it is (%s)",
  async (context) => {
    const method = convertMasked(network, { partition: maskingPartition({ numBlocks: context === "own" ? 1 : 3 }), context });
    const last = method.estimates.at(-1)!;
    await using caller = createCaller(method, { device: cpu, values: (path) => values(method, path), batchSize: 2 });
    const whole = tinyText(3, 2).input as Int32Array;
    const hidden = new Uint8Array(2 * length).map((_, i) => (i % 3 === 1 ? 1 : 0));
    const shown = whole.map((token, i) => (hidden[i] ? vocabSize : token));
    const other = whole.map((token, i) => (hidden[i] ? (token + 1) % vocabSize : token)).map((token, i) => (hidden[i] ? vocabSize : token));
    const t = new Float32Array(2).fill(0.4);
    const [a, b] = [await caller.call(last, { tokens: shown, t }), await caller.call(last, { tokens: other, t })];
    expect(a.logits).toEqual(b.logits);
    const visible = shown.map((token, i) => (i === 0 ? (token + 1) % vocabSize : token));
    expect((await caller.call(last, { tokens: visible, t })).logits).not.toEqual(a.logits);
  },
);

function values({ units }: ReturnType<typeof convertMasked>, path: string): Float32Array {
  const tensor = units.flatMap(({ trainable }) => [...trainable]).find(([name]) => name === path)![1];
  return new Float32Array(tensor.shape.reduce((a, b) => a * b, 1)).map((_, i) => 0.3 * Math.sin(i + path.length));
}

describe.each(["own", "stacked"] as const)("trained on a small language, context %s", async (context) => {
  const method = convertMasked(network, { partition: maskingPartition({ numBlocks: 3 }), context });
  const values = await trainedValues(method, {
    device: cpu,
    batchSize: 16,
    steps: 500,
    learningRate: 3e-3,
    at: (index) => tinyText(index, 16),
  });
  const caller = createCaller(method, { device: cpu, values, batchSize: 16 });
  const tokens = tinyText(900, 600).input as Int32Array;

  test("the bound lies between the entropy of the language and that of uniform tokens", async () => {
    const { nats, error, parts } = await maskedBound({ model: method, call: caller.call, batchSize: 16, tokens, key: key(1) });
    expect(nats).toBeGreaterThan(0.38);
    expect(nats).toBeLessThan(0.75 * Math.log(vocabSize));
    expect(error).toBeLessThan(0.1);
    expect(parts.reduce((a, b) => a + b) + 1e-4 * Math.log(vocabSize)).toBeCloseTo(nats, 9);
  });

  test("the parts of the blocks, each measured alone, add up to the whole within its standard error", async () => {
    const whole = await maskedBound({ model: method, call: caller.call, batchSize: 16, tokens, key: key(2) });
    let [sum, variance] = [0, whole.error ** 2];
    for (const block of [0, 1, 2]) {
      const part = await maskedBound({ model: method, call: caller.call, batchSize: 16, tokens, key: key(3), block });
      sum += part.nats;
      variance += part.error ** 2;
    }
    expect(Math.abs(sum - (whole.nats - 1e-4 * Math.log(vocabSize)))).toBeLessThan(4 * Math.sqrt(variance));
  });

  test("draws text of the language, the same in any batch, and keeps a prompt", async () => {
    const keys = Array.from({ length: 16 }, (_, i) => fold(key("text"), i));
    const sampling = { numSteps: 24, grid: "uniform", temperature: 1 } as const;
    const text = await drawMaskedText({ model: method, call: caller.call, batchSize: 16, keys, sampling });
    let fits = 0;
    for (const [i, token] of text.entries())
      if (i % length > 0) fits += [1, 2].includes((token - text[i - 1]! + vocabSize) % vocabSize) ? 1 : 0;
    expect(fits / (16 * (length - 1))).toBeGreaterThan(0.7); // 0.4 by chance
    const again = await drawMaskedText({
      model: method,
      call: caller.call,
      batchSize: 16,
      keys: keys.slice(3, 5),
      sampling,
      prompt: Int32Array.of(4, 0, 1),
    });
    expect([...again.subarray(0, 3)]).toEqual([4, 0, 1]);
    const alone = await drawMaskedText({ model: method, call: caller.call, batchSize: 16, keys: keys.slice(3, 5), sampling });
    expect(alone).toEqual(text.slice(3 * length, 5 * length));
  });
});
