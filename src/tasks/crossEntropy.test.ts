import { expect, test } from "vitest";
import type { DiffusionBlocks } from "../blocks/index.ts";
import { generateEmbedded } from "../data/index.ts";
import { buildMethod, parseRunConfig } from "../define/index.ts";
import { key } from "../random.ts";
import { registry } from "../registry/index.ts";
import { openDevice } from "../runtime/index.ts";
import { createCaller, UnitState } from "../train/index.ts";
import { crossEntropyAt } from "./crossEntropy.ts";
import { evaluateClasses, testInputs } from "./evaluateClasses.ts";

const data = generateEmbedded({ train: 10, test: 45 });
const network = { patchSize: 16, width: 16, numLayers: 3, numHeads: 2 };

/** An untrained network: its classifier is zero. */
function untrained(labelLikelihood: "learned" | "exact") {
  const config = parseRunConfig(registry, [{ model: network, method: { labelLikelihood } }]);
  const method = buildMethod(registry, config, { channels: 3, imageSize: 32, numClasses: 10 }) as DiffusionBlocks;
  const states = method.units.map((unit) => new UnitState(unit, { seed: 0, slots: [], ema: false }));
  const parameters = new Map(states.flatMap((state) => [...state.parameters].map(([path, { value }]) => [path, value.slice()] as const)));
  for (const state of states) state.dispose();
  return { method, values: (path: string) => parameters.get(path)! };
}

test("an untrained network that reads the noisy label itself is at ln 10 at every level", async () => {
  await using device = await openDevice("cpu", { threads: 1 });
  const { method, values } = untrained("learned");
  await using caller = createCaller(method, { device, values, batchSize: 20 });
  const levels = [];
  for (const sigma of [0.1, 5, 80]) levels.push(await crossEntropyAt(method, caller.call, testInputs(data, 20), sigma, key(0)));
  for (const { crossEntropy } of levels) expect(crossEntropy).toBeCloseTo(Math.log(10), 5);
  expect(levels.map(({ block }) => block)).toEqual(["block-2", "block-2", "block-0"]);
});

test("the exact likelihood of the noisy label names the class at low noise and says nothing at high noise", async () => {
  await using device = await openDevice("cpu", { threads: 1 });
  const { method, values } = untrained("exact");
  const { crossEntropy, units, classes, accuracies } = await evaluateClasses(method, data, { device, values, batchSize: 20, seeds: 2 });
  expect(crossEntropy.map(({ sigma }) => sigma)).toEqual([80, 10, 1, 0.3, 0.1]);
  expect(crossEntropy[0]!.crossEntropy).toBeCloseTo(Math.log(10), 1);
  expect(crossEntropy.at(-1)!.crossEntropy).toBeLessThan(1e-6);
  expect(Object.keys(units)).toEqual(["block-0", "block-1", "block-2"]);
  expect(Object.keys(classes)).toEqual(data.classNames);
  expect(accuracies).toHaveLength(2);
});
