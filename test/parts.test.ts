import { describe, expect, test } from "vitest";
import { buildMethod, parseRunConfig } from "../src/define/index.ts";
import type { LayerMemory } from "../src/nn/index.ts";
import { integer, key } from "../src/random.ts";
import { registry } from "../src/registry/index.ts";
import { memoryProfile } from "../src/tensor/index.ts";
import { type Batch, gradientProgram, type TrainingMethod } from "../src/train/index.ts";
import { device } from "./support/devices.ts";
import { objectiveResult } from "./support/objectiveCheck.ts";
import { tinyBatch } from "./support/tiny.ts";

type Options = Readonly<Record<string, unknown>>;
const cpu = await device("cpu");
const batchSize = 5;
const images = { channels: 1, imageSize: 4, numClasses: 4 };
const text = { vocabSize: 11, length: 6 };
const pictures = (): Batch => tinyBatch(0, batchSize);
const texts = (): Batch => ({
  input: Int32Array.from({ length: batchSize * text.length }, (_, i) => integer(key(`token ${i}`), text.vocabSize)),
  labels: new Int32Array(batchSize),
});
const build = (model: Options, method: string | Options, shape: object): TrainingMethod =>
  buildMethod(registry, parseRunConfig(registry, [{ model, method }]), shape);

const vit = { name: "vit", width: 12, numHeads: 2, mlpWidth: 48, patchSize: 2, numLayers: 2 };
const dit = { name: "dit", width: 12, numHeads: 2, patchSize: 2, numLayers: 2 };
const language = { name: "autoregressive", width: 12, numHeads: 2, numLayers: 2 };
const masked = { name: "masked-diffusion", width: 12, numHeads: 2, numLayers: 2 };
const recurrent = { name: "recurrent-depth", width: 12, numHeads: 2, preludeLayers: 1, coreLayers: 1, codaLayers: 1 };

const cases: [string, TrainingMethod, Batch][] = [
  ["vit, end to end", build(vit, "end-to-end", images), pictures()],
  ["vit, a block", build(vit, { name: "blocks", numBlocks: 2 }, images), pictures()],
  ["vit, greedy", build(vit, { name: "greedy", numGroups: 2 }, images), pictures()],
  ["vit, local updates", build(vit, { name: "local-updates", numBlocks: 2 }, images), pictures()],
  ["dit, a block", build(dit, { name: "blocks", numBlocks: 2 }, images), pictures()],
  ["language model, end to end", build(language, "end-to-end", text), texts()],
  ["language model, a block of two streams", build(language, { name: "blocks", numBlocks: 2 }, text), texts()],
  ["masked text, a block", build(masked, { name: "blocks", numBlocks: 2 }, text), texts()],
  ["recurrent depth, one block", build(recurrent, "blocks", text), texts()],
];
const ways: LayerMemory[] = [{ parts: 3 }, { checkpointing: true, parts: 3 }];

/** Away from zeros, at which gradients of whole branches vanish. */
const shaken = (path: string, initial: Float32Array): Float32Array => initial.map((x, i) => x + 0.1 * Math.sin(i + path.length));

describe.each(cases)("%s", (_, method, batch) => {
  const unit = method.units.at(-1)!;
  const result = (memory: LayerMemory) => objectiveResult(cpu, method, unit, batch, { at: shaken, memory });

  test("loss and gradients in parts, also with checkpoints, are those of the whole batch", async () => {
    const whole = await result({});
    for (const memory of ways) {
      const { loss, gradients, gradientError } = await result(memory);
      expect(loss).toBeCloseTo(whole.loss, 5);
      // Against central differences in float32. What local updates follow is not the gradient of their loss, in parts or not.
      expect(gradientError).toBeLessThan(whole.gradientError + 0.02);
      for (const [path, gradient] of gradients) {
        const expected = whole.gradients.get(path)!;
        const [difference, size] = [gradient.map((x, i) => x - expected[i]!), expected].map((x) => Math.hypot(...x));
        expect(difference! / (size! + 1e-6), path).toBeLessThan(1e-4);
      }
    }
  });
});

describe("memory", () => {
  const wide = (memory: LayerMemory): number => {
    const method = build({ ...vit, mlpWidth: 768, numLayers: 3 }, "end-to-end", images);
    return memoryProfile(gradientProgram(method, method.units[0]!, 32, memory)).peakBytes;
  };

  test("what passes within a layer is there for one part at a time, and what is kept as before", () => {
    const widest = 32 * 5 * 768 * 4; // the hidden values of one layer
    const whole = wide({});
    expect(whole).toBeGreaterThan(5 * widest); // those of three layers, and what passes
    expect(wide({ parts: 8 })).toBeLessThan(4 * widest);
    expect(wide({ parts: 8 })).toBeGreaterThan(3 * widest);
  });

  test("with checkpoints a part of the passing values is all of them that is left", () => {
    const [all, part] = [wide({ checkpointing: true }), wide({ checkpointing: true, parts: 8 })];
    expect(part).toBeLessThan(0.3 * all);
  });
});

test("a batch of fewer items than parts is refused by the number that is too large", () => {
  const [, method] = cases[0]!;
  expect(() => gradientProgram(method, method.units[0]!, 4, { parts: 8 })).toThrow("--parts 8: a batch of 4 has at most 4 parts");
});
