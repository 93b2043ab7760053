import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { accuracyOf, createPredictor } from "../inference/classify.ts";
import { autoregressive } from "../models/index.ts";
import { adamW } from "../optim/index.ts";
import { memoryProfile } from "../tensor/index.ts";
import { type Batch, createTrainer, gradientProgram, memoryStore, type TrainingMethod, train } from "../train/index.ts";
import { endToEnd } from "./endToEnd.ts";
import { localTokenUpdates, localUpdates } from "./localUpdates.ts";
import { nextToken } from "./nextToken.ts";

const batchSize = 16;
const vitOf = (numLayers = 3) => tinyVit({ numLayers, dropout: 0.1 });
const textOf = (numLayers = 3) =>
  autoregressive({ vocabSize: 11, length: 8, width: 12, numLayers, numHeads: 2, mlpWidth: 16, dropout: 0.1 });
const textBatch = (index: number): Batch => ({
  input: Int32Array.from({ length: batchSize * 8 }, (_, i) => (i * i + index * 7 + ((i % 8) * index) / 3) % 11),
  labels: new Int32Array(batchSize),
});

/** Both kinds of network: cut into so many blocks, trained end to end, and a batch of a step. */
const kinds = [
  [
    "classifier",
    (numBlocks: number) => localUpdates(vitOf(), { numBlocks }),
    () => endToEnd(vitOf()),
    (i: number) => tinyBatch(i, batchSize),
  ],
  ["language model", (numBlocks: number) => localTokenUpdates(textOf(), { numBlocks }), () => nextToken(textOf()), textBatch],
] as const;

async function trainedWeights(method: TrainingMethod, batchAt: (index: number) => Batch, steps: number, checkpointing = false) {
  const options = { unit: method.units[0]!, device: await device("cpu"), batchSize, optimizer: adamW(), learningRate: () => 5e-3, seed: 2 };
  await using trainer = await createTrainer(method, { ...options, checkpointing, clipNorm: 1 });
  const reports = [];
  for (let step = 0; step < steps; step++) reports.push(await trainer.step(batchAt(step)));
  return { reports, weights: new Map([...trainer.state.parameters].map(([path, { value }]) => [path, value.slice()])) };
}

describe.each(kinds)("%s", (_, build, whole, batchAt) => {
  test("one block is end-to-end training, bit for bit", async () => {
    const [local, plain] = [await trainedWeights(build(1), batchAt, 4), await trainedWeights(whole(), batchAt, 4)];
    expect(local.weights).toEqual(plain.weights);
    expect(local.reports.map(({ loss }) => loss)).toEqual(plain.reports.map(({ loss }) => loss));
  });

  test("the first loss of every block is that of the block before it", async () => {
    const { reports } = await trainedWeights(build(3), batchAt, 6);
    const [first] = reports;
    expect([first!.metrics["loss block-0"], first!.metrics["loss block-1"]]).toEqual([first!.loss, first!.loss]);
    expect(reports.at(-1)!.metrics["loss block-0"]).not.toBe(reports.at(-1)!.loss);
  });

  test("checkpointing gives the same parameters, bit for bit", async () => {
    expect((await trainedWeights(build(3), batchAt, 3, true)).weights).toEqual((await trainedWeights(build(3), batchAt, 3)).weights);
  });

  test("a run that was stopped ends with the weights of one that was not", async () => {
    const run = async (steps: number, store = memoryStore()) => {
      const method = build(3);
      const { values } = await train(method, {
        device: await device("cpu"),
        batches: { stepsPerEpoch: 5, at: batchAt },
        batchSize,
        steps,
        optimizer: adamW(),
        learningRate: () => 5e-3,
        seed: 1,
        store,
        keepValues: true,
      });
      return { store, weights: [...method.units[0]!.trainable.keys()].map((path) => values(path)) };
    };
    const { store } = await run(3);
    expect((await run(7, store)).weights).toEqual((await run(7)).weights);
  });

  test("memory is that of a block's activations, not the network's", () => {
    const activations = (method: TrainingMethod): number => memoryProfile(gradientProgram(method, method.units[0]!, batchSize)).peakBytes;
    expect(activations(build(3))).toBeLessThan(0.6 * activations(whole()));
  });
});

test("learns a small problem", async () => {
  const method = localUpdates(vitOf(), { numBlocks: 3 });
  const { values } = await train(method, {
    device: await device("cpu"),
    batches: { stepsPerEpoch: 5, at: (index) => tinyBatch(index, batchSize) },
    batchSize,
    steps: 60,
    optimizer: adamW(),
    learningRate: () => 5e-3,
    seed: 1,
  });
  await using predictor = createPredictor(method, { device: await device("cpu"), values, batchSize });
  const labelled = Array.from({ length: 8 }, (_, i) => ({ ...tinyBatch(1000 + i, batchSize), count: batchSize }));
  expect(await accuracyOf(predictor, labelled)).toBeGreaterThan(0.7);
});
