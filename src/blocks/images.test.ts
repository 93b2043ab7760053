import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { objectiveResult } from "../../test/support/objectiveCheck.ts";
import { trainedValues } from "../../test/support/trained.ts";
import { edmNoise, logNormalNoise, partition } from "../diffusion/index.ts";
import { denoiseImages, drawImages, type ImageSampling } from "../inference/images.ts";
import { dit, ditSizes } from "../models/index.ts";
import { adaLNZero, namedParameters, noiseEmbedding, standardNormal, trainingContext } from "../nn/index.ts";
import { adamW } from "../optim/index.ts";
import { fold, integer, key, normal } from "../random.ts";
import { add, mean, mul, random, reduceMean, reshape, sizeOf, square, sub } from "../tensor/index.ts";
import { type Batch, createCaller, createTrainer, independent, type TrainingMethod } from "../train/index.ts";
import { convertImages } from "./images.ts";
import { drawnLevels } from "./levels.ts";

const cpu = await device("cpu");
const [batchSize, size, numClasses] = [16, 8, 3];
const network = dit({ imageSize: size, channels: 1, patchSize: 4, width: 32, numLayers: 3, numHeads: 2, numClasses });
const blocksOf = (numBlocks: number, overlap = 0.05) => partition({ numBlocks, overlap, noise: edmNoise });

/** Three patterns with a little noise; a pure function of the index. */
function tinyImages(index: number): Batch {
  const own = fold(key("tiny images"), index);
  const labels = Int32Array.from({ length: batchSize }, (_, i) => integer(fold(fold(own, "label"), i), numClasses));
  const images = new Float32Array(batchSize * size * size);
  normal(fold(own, "image"), images);
  return { input: images.map((x, i) => 0.05 * x + pattern(labels[Math.floor(i / 64)]!, i % 64)), labels };
}
function pattern(label: number, pixel: number): number {
  const [row, column] = [Math.floor(pixel / size), pixel % size];
  const bright = [row < 4, column < 4, row < 4 !== column < 4][label];
  return bright ? 0.8 : -0.8;
}

test("the published sizes have the published numbers of parameters", () => {
  const { blocks } = convertImages(dit({ imageSize: 32, numClasses: 10, ...ditSizes["DiT-S/2"] }), { partition: blocksOf(1) });
  const { stem, layers, head } = blocks[0]!.parameters;
  const count = [stem, layers, head].flatMap((part) => [...part.values()]).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  expect(count / 1e6).toBeCloseTo(32.48, 2);
});

test("gradients of a block's loss agree with central differences", async () => {
  const method = convertImages(network, { partition: blocksOf(3) });
  // Away from the zeros that adaLN and the head start with, where most gradients vanish.
  const at = (_: string, initial: Float32Array): Float32Array => initial.map((x, i) => (x === 0 ? 0.05 * Math.sin(i) : x));
  for (const unit of method.units)
    expect((await objectiveResult(cpu, method, unit, tinyImages(0), { at })).gradientError).toBeLessThan(1e-2);
});

/** EDM training of the whole network, written from its definition. */
function plainEdm(): TrainingMethod {
  const { condWidth, epsilon } = network;
  const { stem, layers, head, labels: labelTable } = network.build(adaLNZero({ condWidth, epsilon }));
  const noise = noiseEmbedding(condWidth, { activated: false });
  const named = new Map([
    ...namedParameters({ parts: { stem, noise, labels: labelTable } }),
    ...layers.flatMap((layer, i) => [...namedParameters(layer, `layers.${i}`)]),
    ...namedParameters({ parts: { head } }),
  ]);
  const trainable = new Map([...named].map(([path, tensor]) => [`block-0/${path}`, tensor]));
  return {
    name: "edm",
    inputType: network.inputType,
    units: [{ name: "block-0", trainable, frozen: new Map(), constants: new Map(), layerEvaluations: 3 }],
    order: independent,
    objective: (_, { input: y, labels }, stepKey) => {
      const { sigma, cIn, cSkip, cOut, cNoise, lossWeight } = drawnLevels(
        fold(stepKey, "sigma"),
        edmNoise,
        [edmNoise.sigmaMin, edmNoise.sigmaMax],
        batchSize,
      );
      const [s, into, skip, out] = [sigma, cIn, cSkip, cOut].map((level) => reshape(level, [batchSize, 1, 1, 1]));
      const z = add(y, mul(s!, random(fold(stepKey, "noise"), standardNormal, y.shape)));
      const context = {
        ...trainingContext(fold(stepKey, "dropout")),
        condition: add(noise(reshape(cNoise, [batchSize])), labelTable!(labels)),
      };
      const f = head(
        layers.reduce((h, layer) => layer(h, context), stem(mul(into!, z), context)),
        context,
      );
      const error = square(sub(add(mul(skip!, z), mul(out!, f)), y));
      return { loss: mean(mul(reduceMean(error, [1, 2, 3]), reshape(lossWeight, [batchSize]))), metrics: {} };
    },
    programs: [],
  };
}

test("one block without overlap is EDM training, bit for bit", async () => {
  const parametersAfter = async (method: TrainingMethod): Promise<Map<string, Float32Array>> => {
    const options = { unit: method.units[0]!, device: cpu, batchSize, optimizer: adamW(), learningRate: () => 1e-3, seed: 3 };
    await using trainer = await createTrainer(method, options);
    for (let step = 0; step < 5; step++) await trainer.step(tinyImages(step));
    return new Map([...trainer.state.parameters].map(([path, { value }]) => [path, value.slice()]));
  };
  const whole = await parametersAfter(convertImages(network, { partition: blocksOf(1, 0), labelDropout: 0 }));
  expect(await parametersAfter(plainEdm())).toEqual(whole);
});

describe("a trained denoiser", async () => {
  const noise = logNormalNoise({ pMean: 0, sigmaMin: 0.02, sigmaMax: 20 });
  const method = convertImages(network, { partition: partition({ numBlocks: 3, noise }) });
  const values = await trainedValues(method, { device: cpu, batchSize, steps: 400, learningRate: 1e-2, at: tinyImages });
  const sampling: ImageSampling = { sampler: "heun", numSteps: 12, grid: "karras", guidance: 1, churn: 0 };
  const draw = async (programBatch: number, more: Partial<ImageSampling> = {}, labels = Int32Array.of(0, 1, 2)) => {
    await using caller = createCaller(method, { device: cpu, values, batchSize: programBatch });
    const keys = [0, 1, 2].map((i) => fold(key("samples"), i));
    return await drawImages({
      model: method,
      call: caller.call,
      batchSize: programBatch,
      labels,
      keys,
      sampling: { ...sampling, ...more },
    });
  };
  const error = (images: Float32Array, labels: readonly number[]): number =>
    images.reduce((sum, x, i) => sum + Math.abs(x - pattern(labels[Math.floor(i / 64)]!, i % 64)), 0) / images.length;

  test("draws the class that was asked for", async () => {
    const images = await draw(4);
    expect(error(images, [0, 1, 2])).toBeLessThan(0.25);
    expect(error(images, [1, 2, 0])).toBeGreaterThan(0.5);
  });

  test.each([
    ["guidance", { guidance: 2 }],
    ["Euler", { sampler: "euler", numSteps: 30 }],
    ["DPM-Solver++", { sampler: "dpm++2m" }],
    ["churn", { churn: 5 }],
    ["an equi-probability grid", { sampler: "euler", grid: "equi-probability", numSteps: 20 }],
  ] as [string, Partial<ImageSampling>][])("also with %s", async (_, more) => {
    expect(error(await draw(8, more), [0, 1, 2])).toBeLessThan(0.3);
  });

  test("images do not depend on the batch, but for rounding", async () => {
    const [small, large] = [await draw(3), await draw(8)];
    for (const [i, x] of small.entries()) expect(Math.abs(x - large[i]!)).toBeLessThan(1e-3);
  });

  test("each noise level is asked of the block that owns it, alone", async () => {
    const asked: [number, number][] = [];
    await using caller = createCaller(method, { device: cpu, values, batchSize: 3 });
    const labels = Int32Array.of(0, 1, 2);
    const keys = [0, 1, 2].map((i) => fold(key("samples"), i));
    await drawImages({
      model: method,
      call: caller.call,
      batchSize: 3,
      labels,
      keys,
      sampling,
      onStep: ({ sigma, block }) => void asked.push([sigma, block]),
    });
    expect(asked).toHaveLength(12);
    for (const [sigma, block] of asked) {
      const [low, high] = method.partition.ranges[block]!;
      expect(sigma >= low && sigma <= high).toBe(true);
      expect((await denoiseImages(method, caller.call, new Float32Array(3 * 64), sigma, labels)).block).toBe(block);
    }
    expect(new Set(asked.map(([, block]) => block)).size).toBe(3);
  });
});
