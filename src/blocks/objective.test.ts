import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { tinyBatch, tinyVit } from "../../test/support/tiny.ts";
import { edmNoise, partition } from "../diffusion/index.ts";
import { trainingContext } from "../nn/index.ts";
import { adamW, constantSchedule } from "../optim/index.ts";
import { fold } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { add, crossEntropy, gather, input, mean, mul, random, reshape } from "../tensor/index.ts";
import { createTrainer, type TrainingMethod } from "../train/index.ts";
import { conditionedNetwork } from "./block.ts";
import { convert } from "./convert.ts";
import { drawnLevels } from "./levels.ts";
import { standardNormal } from "./noise.ts";
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

test("one block without overlap is plain training of one denoiser on the whole noise range", async () => {
  const architecture = tinyVit({ dropout: 0.1 });
  const dblocks = convert(architecture, { partition: partition({ numBlocks: 1, overlap: 0 }), condWidth: 4, headInput: "mixed", lossWeighting: "edm" });
  const plain = plainDenoiser();
  const weights = [];
  for (const method of [dblocks, plain]) {
    const trainer = await createTrainer(method, { unit: method.units[0]!, device, batchSize: 8, optimizer: adamW(), learningRate: constantSchedule(1e-2), seed: 1 });
    const losses = [];
    for (let step = 0; step < 5; step++) losses.push((await trainer.step(tinyBatch(step, 8))).loss);
    weights.push({ losses, values: new Map([...trainer.state.parameters].map(([path, { value }]) => [path, value.slice()])) });
    await trainer.dispose();
  }
  expect(weights[0]!.values.size).toBeGreaterThan(40);
  expect(weights[1]).toEqual(weights[0]);

  /** Written out from EDM's definition: D = cSkip z + cOut F(cIn z), cross-entropy of the classifier's reading of D, weight w(σ). */
  function plainDenoiser(): TrainingMethod {
    const { network, noise } = conditionedNetwork(architecture, { condWidth: 4 });
    const { table } = createTargets("orthonormal", architecture.numClasses, architecture.width, 1);
    const method: TrainingMethod = {
      ...dblocks,
      name: "plain denoiser",
      units: [{ ...dblocks.units[0]!, trainable: new Map(Object.entries(named())) }],
      objective: (_, batch, key) => {
        const { sigma, cIn, cOut, cSkip, cNoise, lossWeight } = drawnLevels(fold(key, "sigma"), edmNoise, [edmNoise.sigmaMin, edmNoise.sigmaMax], 8);
        const z = add(gather(table, batch.labels), mul(sigma, random(fold(key, "noise"), standardNormal, [8, architecture.width])));
        const context = { ...trainingContext(fold(key, "dropout")), condition: noise(reshape(cNoise, [8])) };
        let h = network.stem(batch.input, mul(cIn, z), context);
        for (const layer of network.layers) h = layer(h, context);
        const logits = network.head(h, context, (features) => add(mul(cOut, features), mul(cSkip, z)));
        return { loss: mean(mul(crossEntropy(logits, batch.labels), reshape(lossWeight, [8]))), metrics: {} };
      },
    };
    return method;

    function named(): Record<string, never> {
      const own = conditionedParameters();
      return Object.fromEntries([...dblocks.units[0]!.trainable.keys()].map((path) => [path, own.get(path)!])) as Record<string, never>;
    }

    function conditionedParameters(): Map<string, unknown> {
      return new Map();
    }
  }
});
