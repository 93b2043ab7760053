import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { edmNoise, partition } from "../diffusion/index.ts";
import {
  adaLN,
  type ClassifierArchitecture,
  layerParameters,
  namedParameters,
  noiseEmbedding,
  standardNormal,
  trainingContext,
} from "../nn/index.ts";
import { adamW } from "../optim/index.ts";
import { fold } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { add, crossEntropy, gather, input, mean, mul, random, reshape } from "../tensor/index.ts";
import { createTrainer, independent, type TrainingMethod } from "../train/index.ts";
import { convert } from "./classes.ts";
import { drawnLevels } from "./levels.ts";
import { type LossWeighting, weightedMean } from "./objective.ts";
import { createTargets } from "./targets.ts";

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

describe("weightedMean", () => {
  const losses = Float32Array.of(1, 2, 3, 10);
  const weights = Float32Array.of(4, 250, 0.5, 1);
  const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const products = [...losses].map((loss, i) => loss * weights[i]!);
  // The official code's product of [N] and [N, 1]: every loss with every weight.
  const allPairs = [...losses].flatMap((loss) => [...weights].map((weight) => loss * weight));

  test.each([
    ["edm", meanOf(products)],
    ["batch-mean", meanOf(allPairs)],
    ["none", meanOf([...losses])],
  ] as [LossWeighting, number][])("%s", async (weighting, expected) => {
    const outputs = { loss: weightedMean(input("losses", [4]), input("weights", [4]), weighting) };
    const { loss } = await evaluate(device, outputs, { losses, ...(weighting !== "none" && { weights }) });
    expect(loss[0]! / expected).toBeCloseTo(1, 6);
  });
});

/** Written out from EDM's definition: logits read D = cSkip z + cOut F(cIn z), each sample with its own weight w(σ). */
function plainDenoiser(
  { numLayers, numClasses, width, epsilon, ...architecture }: ClassifierArchitecture,
  condWidth: number,
): TrainingMethod {
  const network = architecture.build(adaLN({ condWidth, initialGate: 1, targetWidth: width, epsilon }));
  const noise = noiseEmbedding(condWidth);
  const targets = createTargets("orthonormal", numClasses, width, 1);
  const named = [
    ...namedParameters({ parts: { stem: network.stem, noise } }),
    ...layerParameters(network.layers, 0),
    ...namedParameters({ parts: { head: network.head } }),
  ];
  const trainable = new Map(named.map(([path, tensor]) => [`block-0/${path}`, tensor]));
  return {
    name: "plain denoiser",
    inputType: architecture.inputType,
    units: [{ name: "block-0", trainable, frozen: new Map(), constants: new Map(), layerEvaluations: numLayers }],
    order: independent,
    objective: (_, { input: images, labels }, key) => {
      const levels = drawnLevels(fold(key, "sigma"), edmNoise, [edmNoise.sigmaMin, edmNoise.sigmaMax], batchSize);
      const z = add(gather(targets.table, labels), mul(levels.sigma, random(fold(key, "noise"), standardNormal, [batchSize, width])));
      const context = { ...trainingContext(fold(key, "dropout")), condition: noise(reshape(levels.cNoise, [batchSize])) };
      let h = network.stem(images, mul(levels.cIn, z), context);
      for (const layer of network.layers) h = layer(h, context);
      const logits = network.head(h, context, (features) => add(mul(levels.cOut, features), mul(levels.cSkip, z)));
      return { loss: mean(mul(crossEntropy(logits, labels), reshape(levels.lossWeight, [batchSize]))), metrics: {} };
    },
    programs: [],
  };
}

const batchSize = 8;

test("one block without overlap is plain training of one denoiser on the whole noise range, bit for bit", async () => {
  const architecture = tinyVit({ dropout: 0.1 });
  const dblocks = convert(architecture, {
    partition: partition({ numBlocks: 1, overlap: 0, noise: edmNoise }),
    condWidth: 4,
    headInput: "mixed",
    lossWeighting: "edm",
    labelLikelihood: "learned",
  });
  const results = [];
  for (const method of [dblocks, plainDenoiser(architecture, 4)]) {
    await using trainer = await createTrainer(method, {
      unit: method.units[0]!,
      device,
      batchSize,
      optimizer: adamW(),
      learningRate: () => 1e-2,
      seed: 1,
    });
    const losses = [];
    for (let step = 0; step < 5; step++) losses.push((await trainer.step(tinyBatch(step, batchSize))).loss);
    results.push({ losses, values: new Map([...trainer.state.parameters].map(([path, { value }]) => [path, value.slice()])) });
  }
  expect(results[0]!.values.size).toBeGreaterThan(40);
  expect(results[1]).toEqual(results[0]);
});
