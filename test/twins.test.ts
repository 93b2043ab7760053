import { expect, test } from "vitest";
import type { ImageDenoiser, MaskedText } from "../src/blocks/index.ts";
import { buildMethod, type ConfigPart, parseRunConfig } from "../src/define/index.ts";
import { levelsAt } from "../src/diffusion/index.ts";
import { readLogits } from "../src/inference/index.ts";
import { adamW } from "../src/optim/index.ts";
import { fold, integer, key, normals } from "../src/random.ts";
import { registry } from "../src/registry/index.ts";
import { type Batch, createCaller, type LanguageModel, type ParameterValues, type TrainingMethod, train } from "../src/train/index.ts";
import { device } from "./support/devices.ts";

const batchSize = 2;
const images = { channels: 1, imageSize: 8, numClasses: 3 };
const text = { vocabSize: 5, length: 6 };
const small = { width: 12, numLayers: 4, numHeads: 2 };

function methodOf(model: string, method: string, shape: object, sizes: object = small): TrainingMethod {
  const part: ConfigPart = { model: { name: model, ...sizes }, method: { name: method, ...(method !== "end-to-end" && { numBlocks: 2 }) } };
  return buildMethod(registry, parseRunConfig(registry, [part]), shape);
}

/** Parameters after two updates of each unit: members have become different. */
async function trained(method: TrainingMethod, batch: Batch): Promise<ParameterValues> {
  const { values } = await train(method, {
    device: await device("cpu"),
    batches: { stepsPerEpoch: 1, at: () => batch },
    batchSize,
    steps: 2,
    optimizer: adamW(),
    learningRate: () => 1e-2,
    seed: 1,
  });
  return values;
}

const imageBatch: Batch = { input: normals(key("images"), batchSize * 64), labels: Int32Array.of(0, 2) };
const tokens = Int32Array.from({ length: batchSize * text.length }, (_, i) => integer(fold(key("tokens"), i), text.vocabSize));
const textBatch: Batch = { input: tokens, labels: new Int32Array(batchSize) };

test.each([
  ["dit", images, { ...small, patchSize: 4 }],
  ["masked-diffusion", text, small],
  ["autoregressive", text, small],
] as const)(
  "%s: a twin has the layers of a block, an ensemble as many evaluations as the whole network, in units that share nothing",
  (model, shape, sizes) => {
    const evaluations = (method: string): number =>
      methodOf(model, method, shape, sizes).units.reduce((sum, unit) => sum + unit.layerEvaluations, 0);
    expect([evaluations("shallow-twin"), evaluations("twin-ensemble")]).toEqual([2, evaluations("end-to-end")]);
    const { units } = methodOf(model, "twin-ensemble", shape, sizes);
    const paths = units.flatMap(({ trainable }) => [...trainable.keys()]);
    expect([units.length, new Set(paths).size]).toEqual([2, paths.length]);
  },
);

/** What several programs give, with the same parameters, beside what the first of an ensemble gives. */
async function meanAndTogether(
  together: TrainingMethod & Pick<ImageDenoiser | MaskedText, "estimates">,
  ask: (call: ReturnType<typeof createCaller>["call"], of: number, method: TrainingMethod) => Promise<Float32Array>,
  alone: TrainingMethod,
  batch: Batch,
): Promise<readonly [mean: number[], together: number[]]> {
  const values = await trained(together, batch);
  await using own = createCaller(alone, { device: await device("cpu"), values, batchSize });
  await using whole = createCaller(together, { device: await device("cpu"), values, batchSize });
  const [first, second] = [await ask(own.call, 0, alone), await ask(own.call, 1, alone)];
  expect(first).not.toEqual(second);
  return [Array.from(first, (x, i) => (x + second[i]!) / 2), Array.from(await ask(whole.call, 0, together))];
}

function expectClose(values: readonly number[], expected: readonly number[]): void {
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
}

test("dit: an ensemble answers with the mean of its members' estimates", async () => {
  const sizes = { ...small, patchSize: 4 };
  const [together, alone] = [methodOf("dit", "twin-ensemble", images, sizes), methodOf("dit", "blocks", images, sizes)];
  const feeds = { z: imageBatch.input as Float32Array, labels: imageBatch.labels, ...levelsAt(1, { sigmaData: 0.5 }, batchSize) };
  const [mean, answer] = await meanAndTogether(
    together as ImageDenoiser,
    async (call, of, method) => (await call((method as ImageDenoiser).estimates[of]!, feeds)).denoised,
    alone,
    imageBatch,
  );
  expectClose(answer, mean);
});

test("masked-diffusion: an ensemble answers with the mean of its members' logits", async () => {
  const [together, alone] = [methodOf("masked-diffusion", "twin-ensemble", text), methodOf("masked-diffusion", "blocks", text)];
  const feeds = { tokens: tokens.map((token, i) => (i % 2 === 0 ? text.vocabSize : token)), t: Float32Array.of(0.5, 0.5) };
  const [mean, answer] = await meanAndTogether(
    together as MaskedText,
    async (call, of, method) => (await call((method as MaskedText).estimates[of]!, feeds)).logits,
    alone,
    textBatch,
  );
  expectClose(answer, mean);
});

test("autoregressive: the likelihood of an ensemble is that of the mean of its members' logits, which it also draws from", async () => {
  const method = methodOf("autoregressive", "twin-ensemble", text) as LanguageModel;
  const values = await trained(method, textBatch);
  await using caller = createCaller(method, { device: await device("cpu"), values, batchSize });
  const { call } = caller;
  const keys = [key(0), key(1)];
  const logits = await readLogits({ generation: method.generate(call, batchSize, keys), tokens, keys, ...text });
  const nats = Array.from(tokens, (token, i) => {
    const row = logits.subarray(i * text.vocabSize, (i + 1) * text.vocabSize);
    return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[token]!;
  });
  const measured = { tokens, count: batchSize, from: () => 0 };
  const whole = (await method.likelihoods(call, batchSize, measured, key(0)))["next token"]!.nats;
  expect(whole).toBeCloseTo(nats.reduce((sum, x) => sum + x, 0) / nats.length, 4);
  const members = await Promise.all(
    method.units.map(async (unit) => (await method.likelihoods(call, batchSize, measured, key(0), unit))["next token"]!.nats),
  );
  expect(members[0]).not.toBe(members[1]);
  // The mean of logits is at least as good as the mean of the members' −ln p: log-sum-exp is convex.
  expect(whole).toBeLessThanOrEqual((members[0]! + members[1]!) / 2 + 1e-6);
});
