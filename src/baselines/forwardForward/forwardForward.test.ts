import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { device } from "../../../test/support/devices.ts";
import { evaluate } from "../../../test/support/evaluate.ts";
import { tinyBatch, tinyVit } from "../../../test/support/tiny.ts";
import { testBatches, trainBatches } from "../../data/index.ts";
import { accuracyOf, createPredictor, type LabelledBatch } from "../../inference/classify.ts";
import { mlpClassifier } from "../../models/index.ts";
import { adamW } from "../../optim/index.ts";
import { fold, key, normal } from "../../random.ts";
import { loadImages } from "../../sources/index.ts";
import { constant, grad, input, type Tensor } from "../../tensor/index.ts";
import { type BatchSource, type Classifier, type ParameterValues, parameterNames, train } from "../../train/index.ts";
import { contrastiveForwardForward, mirrored, supervisedContrastive } from "./contrastive.ts";
import { forwardForward, goodness } from "./forwardForward.ts";
import { writeLabel, wrongLabels } from "./labelledInput.ts";

const cpu = await device("cpu");

function drawn(name: string, size: number): Float32Array {
  const out = new Float32Array(size);
  normal(fold(key("forward-forward"), name), out);
  return out;
}

async function trained(
  method: Classifier,
  batches: BatchSource,
  options: { batchSize: number; steps: number; rate: number },
): Promise<ParameterValues> {
  const { values } = await train(method, {
    device: cpu,
    batches,
    batchSize: options.batchSize,
    steps: options.steps,
    optimizer: adamW(),
    learningRate: () => options.rate,
    seed: 1,
  });
  return values;
}

async function accuracy(method: Classifier, values: ParameterValues, batches: Iterable<LabelledBatch>, batchSize: number): Promise<number> {
  await using predictor = createPredictor(method, { device: cpu, values, batchSize });
  return await accuracyOf(predictor, batches);
}

const [tinySize, tinyClasses] = [16, 4];
const tinyBatches: BatchSource = { stepsPerEpoch: 10, at: (index) => tinyBatch(index, tinySize) };
const tinyTest = Array.from({ length: 8 }, (_, i) => ({ ...tinyBatch(1000 + i, tinySize), count: tinySize }));
const tinyMlp = (): ReturnType<typeof mlpClassifier> =>
  mlpClassifier({ imageSize: 4, channels: 1, numClasses: tinyClasses, width: 48, numLayers: 2 });

describe("labels in the input", () => {
  test("the first numbers of an image become the label, the rest stays", async () => {
    const images = drawn("images", 2 * 3 * 2 * 2);
    const { y } = await evaluate(cpu, {
      y: writeLabel(constant(images, [2, 3, 2, 2]), constant([2, 0], [2], "int32"), { numClasses: 4, brightness: 5, writing: "pixels" }),
    });
    expect([...y]).toEqual([0, 0, 5, 0, ...images.slice(4, 12), 5, 0, 0, 0, ...images.slice(16)]);
  });

  test("as a pattern, a label adds the same signs to every image of its class, and others to other classes", async () => {
    const images = drawn("images", 3 * 3 * 4 * 4);
    const label = { numClasses: 4, brightness: 0.5, writing: "pattern" } as const;
    const { y } = await evaluate(cpu, { y: writeLabel(constant(images, [3, 3, 4, 4]), constant([2, 2, 0], [3], "int32"), label) });
    const added = [...y].map((value, i) => value - images[i]!);
    for (const value of added) expect(Math.abs(value)).toBeCloseTo(0.5, 5);
    const signs = [0, 1, 2].map((n) => added.slice(48 * n, 48 * (n + 1)).map(Math.sign));
    expect(signs[0]).toEqual(signs[1]);
    const agreement = signs[0]!.filter((sign, i) => sign === signs[2]![i]).length;
    expect(agreement).toBeGreaterThan(12);
    expect(agreement).toBeLessThan(36);
  });

  test("negatives never carry the right label and are uniform over the others", async () => {
    const count = 4000;
    const labels = Int32Array.from({ length: count }, (_, i) => i % 5);
    const wrong = wrongLabels(constant(labels, [count], "int32"), 5, key(3));
    const sampled = new Int32Array(count);
    const source = [...collectRandom(wrong)][0]!;
    source.sampler.fill(sampled, key(9));
    const { y } = await evaluate(cpu, { y: wrong }, { "random.0": sampled });
    const counts = new Map<string, number>();
    for (const [i, label] of (y as unknown as Int32Array).entries()) {
      expect(label).not.toBe(labels[i]);
      expect(label >= 0 && label < 5).toBe(true);
      counts.set(`${labels[i]} ${label}`, (counts.get(`${labels[i]} ${label}`) ?? 0) + 1);
    }
    expect(counts.size).toBe(20);
    for (const n of counts.values()) expect(Math.abs(n - 200)).toBeLessThan(70); // five deviations
  });
});

/** The random sources that a tensor is computed from. */
function* collectRandom(tensor: Tensor): Generator<{ sampler: { fill(out: Int32Array, own: ReturnType<typeof key>): void } }> {
  if (tensor.source?.kind === "random") yield tensor.source as never;
  for (const operand of tensor.producer?.inputs ?? []) yield* collectRandom(operand);
}

describe("Forward-Forward", () => {
  test("goodness is the mean square of the features, tokens averaged first", async () => {
    const state = drawn("state", 2 * 3 * 4);
    const { g } = await evaluate(cpu, { g: goodness(constant(state, [2, 3, 4])) });
    for (let n = 0; n < 2; n++) {
      let expected = 0;
      for (let k = 0; k < 4; k++) expected += ([0, 1, 2].reduce((sum, t) => sum + state[n * 12 + t * 4 + k]!, 0) / 3) ** 2 / 4;
      expect(g[n]).toBeCloseTo(expected, 5);
    }
  });

  test("the loss of a layer is softplus(θ − g⁺) + softplus(g⁻ − θ), with its own parameters' gradients only", async () => {
    const method = forwardForward(tinyMlp(), { threshold: 1.5 });
    const unit = method.units[1]!;
    const batch = { input: input("input", [tinySize, 1, 4, 4]), labels: input("labels", [tinySize], "int32") };
    const { loss } = method.objective(unit, batch, key(4), {});
    expect(() => grad(loss, [...unit.trainable.values()])).not.toThrow();
    const names = parameterNames(method.units);
    const feeds = Object.fromEntries(
      [...names].map(([tensor, path]) => [
        path,
        drawn(
          path,
          tensor.shape.reduce((a, b) => a * b, 1),
        ).map((x) => 0.3 * x),
      ]),
    );
    const one = tinyBatch(0, tinySize);
    const offsets = Int32Array.from({ length: tinySize }, (_, i) => 1 + (i % 3));
    const { value } = await evaluate(cpu, { value: loss }, { ...feeds, input: one.input, labels: one.labels, "random.0": offsets }, names);
    const dense = (x: number[], layer: number): number[] => {
      const [w, b] = [feeds[`layer-${layer}/layers.${layer}.dense.weight`]!, feeds[`layer-${layer}/layers.${layer}.dense.bias`]!];
      return [...b].map((bias, j) =>
        Math.max(
          0,
          x.reduce((sum, xi, i) => sum + xi * w[i * b.length + j]!, bias),
        ),
      );
    };
    const goodnessOf = (n: number, label: number): number => {
      const x = [...(one.input as Float32Array).slice(16 * n, 16 * n + 16)];
      for (let k = 0; k < tinyClasses; k++) x[k] = k === label ? 3 : 0;
      const h = dense(x, 0);
      const rms = Math.sqrt(h.reduce((sum, v) => sum + v * v, 0) / h.length + 1e-8);
      const last = dense(
        h.map((v) => v / rms),
        1,
      );
      return last.reduce((sum, v) => sum + v * v, 0) / last.length;
    };
    const softplus = (x: number): number => Math.log1p(Math.exp(x));
    const terms = [...one.labels].map(
      (label, n) => softplus(1.5 - goodnessOf(n, label)) + softplus(goodnessOf(n, (label + offsets[n]!) % tinyClasses) - 1.5),
    );
    expect(value[0]).toBeCloseTo(terms.reduce((a, b) => a + b) / tinySize, 4);
  });

  test.each([
    ["an MLP", tinyMlp, 5e-3],
    ["a vision transformer", () => tinyVit({ numLayers: 2 }), 5e-3],
  ] as const)("%s learns a small problem layer by layer", async (_, architecture, rate) => {
    const method = forwardForward(architecture());
    const values = await trained(method, tinyBatches, { batchSize: tinySize, steps: 150, rate });
    expect(await accuracy(method, values, tinyTest, tinySize)).toBeGreaterThan(0.6);
  });
});

describe("contrastive Forward-Forward", () => {
  test("the loss agrees with its formula in double precision", async () => {
    const [items, width, temperature, margin] = [6, 3, 0.15, 0.4];
    const features = drawn("features", items * width);
    const labels = [0, 1, 0, 1, 2, 0];
    const rows = Array.from({ length: items }, (_, i) => [...features.slice(i * width, (i + 1) * width)]);
    const unit = rows.map((row) => row.map((x) => x / Math.hypot(...row)));
    const similarity = (i: number, j: number): number => {
      const cosine = unit[i]!.reduce((sum, x, k) => sum + x * unit[j]![k]!, 0);
      return labels[i] === labels[j] ? Math.min(cosine + margin, 1) : cosine;
    };
    const others = (i: number): number[] => labels.flatMap((_, j) => (j === i ? [] : [j]));
    const lossOf = (i: number): number[] => {
      const partners = others(i).filter((j) => labels[j] === labels[i]);
      if (partners.length === 0) return [];
      const total = others(i).reduce((sum, j) => sum + Math.exp(similarity(i, j) / temperature), 0);
      return [-partners.reduce((sum, j) => sum + similarity(i, j) / temperature - Math.log(total), 0) / partners.length];
    };
    const losses = labels.flatMap((_, i) => lossOf(i));
    const { loss } = await evaluate(cpu, {
      loss: supervisedContrastive(constant(features, [items, width]), constant(labels, [items], "int32"), { temperature, margin }),
    });
    expect(loss[0]).toBeCloseTo(losses.reduce((a, b) => a + b) / losses.length, 4);
  });

  test("mirrored reverses the columns", async () => {
    const { y } = await evaluate(cpu, { y: mirrored(constant([1, 2, 3, 4, 5, 6], [1, 1, 2, 3])) });
    expect([...y]).toEqual([3, 2, 1, 6, 5, 4]);
  });

  test("a vision transformer learns a small problem in two stages", async () => {
    const method = contrastiveForwardForward(tinyVit({ numLayers: 2 }));
    expect(method.units.map(({ name }) => name)).toEqual(["layer-0", "layer-1", "readout"]);
    const values = await trained(method, tinyBatches, { batchSize: tinySize, steps: 100, rate: 5e-3 });
    expect(await accuracy(method, values, tinyTest, tinySize)).toBeGreaterThan(0.7);
  });
});

const mnist = `${process.env.DBLOCKS_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url))}/mnist-10k`;
test.skipIf(!existsSync(mnist))("an MLP learns real digits by Forward-Forward", async () => {
  const { train: images, test: held, mean, std } = await loadImages(mnist);
  const batchSize = 100;
  const source = trainBatches(images, { batchSize, seed: 0, augmentation: "none", mean, std });
  const batches: BatchSource = {
    stepsPerEpoch: source.stepsPerEpoch,
    at: (step) => {
      const { images: pixels, labels } = source.at(step);
      return { input: pixels, labels };
    },
  };
  const method = forwardForward(mlpClassifier({ imageSize: 28, channels: 1, numClasses: 10, width: 200, numLayers: 2 }));
  const values = await trained(method, batches, { batchSize, steps: 400, rate: 3e-3 });
  const labelled = [...testBatches(held, { batchSize, mean, std })]
    .slice(0, 10)
    .map(({ images: pixels, labels, count }) => ({ input: pixels.slice(), labels: labels.slice(), count }));
  expect(await accuracy(method, values, labelled, batchSize)).toBeGreaterThan(0.8);
});
