import { expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { accuracyOf, createPredictor } from "../inference/classify.ts";
import { adamW } from "../optim/index.ts";
import { key } from "../random.ts";
import { type Classifier, independent, type ParameterValues, train } from "../train/index.ts";
import { shallowTwin, twinEnsemble } from "./endToEnd.ts";

const batchSize = 16;
const build = (numLayers: number) => tinyVit({ numLayers });

async function trained(method: Classifier): Promise<ParameterValues> {
  const { values } = await train(method, {
    device: await device("cpu"),
    batches: { stepsPerEpoch: 5, at: (index) => tinyBatch(index, batchSize) },
    batchSize,
    steps: 40,
    optimizer: adamW(),
    learningRate: () => 5e-3,
    seed: 1,
  });
  return values;
}

test("twins have the layers of a block each, share nothing, and start apart", async () => {
  const { units, order } = twinEnsemble(build, 1, 3);
  const twin = shallowTwin(build, 1);
  expect(order).toBe(independent);
  expect(units.map(({ layerEvaluations }) => layerEvaluations)).toEqual([1, 1, 1]);
  for (const unit of units) expect(unit.trainable.size).toBe(twin.units[0]!.trainable.size);
  const paths = units.flatMap(({ trainable }) => [...trainable.keys()]);
  expect(new Set(paths).size).toBe(paths.length);
});

test("an ensemble answers with the sum of its members' log-probabilities, and learns", async () => {
  const method = twinEnsemble(build, 1, 3);
  const values = await trained(method);
  await using predictor = createPredictor(method, { device: await device("cpu"), values, batchSize });
  const { input } = tinyBatch(1000, batchSize);
  const whole = await predictor.predict(input, key(0));
  const members = await Promise.all(method.units.map((unit) => predictor.predict(input, key(0), unit)));
  expect(members[0]).not.toEqual(members[1]);
  for (const [i, score] of whole.entries())
    expect(score).toBeCloseTo(
      members.reduce((sum, member) => sum + member[i]!, 0),
      4,
    );
  const labelled = Array.from({ length: 8 }, (_, i) => ({ ...tinyBatch(1000 + i, batchSize), count: batchSize }));
  expect(await accuracyOf(predictor, labelled)).toBeGreaterThan(0.7);
});
