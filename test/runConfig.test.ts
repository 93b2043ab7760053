import { describe, expect, test } from "vitest";
import type { DiffusionBlocks } from "../src/blocks/index.ts";
import { generateEmbedded } from "../src/data/index.ts";
import {
  buildMethod,
  buildSchedule,
  type ConfigPart,
  configSchema,
  flagsOf,
  identityOf,
  parseRunConfig,
  type RunConfig,
} from "../src/define/index.ts";
import { vitModel } from "../src/models/index.ts";
import { registry } from "../src/registry/index.ts";
import { configHash } from "../src/run/index.ts";
import { classes } from "../src/tasks/index.ts";
import type { Unit } from "../src/train/index.ts";

const parse = (...parts: ConfigPart[]): RunConfig => parseRunConfig(registry, parts);
const hash = (config: RunConfig): string => configHash(identityOf(registry, config, "a data set"));

/** Every model with every method that can train it. */
const pairs = registry.models.flatMap((model) => registry.methodsFor(model).map((method) => [model.name, method.name] as const));

describe("a run's configuration", () => {
  test("later parts win over earlier ones, and the rest has defaults", () => {
    const config = parse({ training: { epochs: 3, batchSize: 7 } }, { training: { epochs: 5 } });
    expect(config.training).toMatchObject({ epochs: 5, batchSize: 7, optimizer: "adamW" });
  });

  test.each(pairs)("%s by %s has defaults that are whole, survive JSON, and a flag of its own for each option", (model, method) => {
    const config = parse({ model, method });
    expect(parse(JSON.parse(JSON.stringify(config)) as ConfigPart)).toEqual(config);
    const flags = flagsOf(configSchema(registry, model, method)).map(({ flag }) => flag);
    expect(new Set(flags).size).toBe(flags.length);
  });

  test("refuses unknown keys and wrong values, naming them and where they belong", () => {
    expect(() => parse({ training: { epoch: 3 } })).toThrow(/training\.epoch.*Did you mean "epochs"/);
    expect(() => parse({ method: { overlap: -1 } })).toThrow(/method\.overlap: -1/);
    expect(() => parse({ method: { shared: "average:0" } })).toThrow(/method\.shared/);
    expect(() => parse({ model: { name: "dit", labelToken: "class" } })).toThrow(/it belongs to vit/);
  });

  test("where and how it is executed, where the data lie and how answers are read do not make another run; anything else does", () => {
    const base = parse();
    const same: ConfigPart[] = [
      { execution: { device: "webgpu", threads: 3, schedule: "interleaved", saveEvery: 7 } },
      { data: { path: "elsewhere", name: "x" } },
      { method: { sampling: { estimate: "hard" } } },
    ];
    for (const part of same) expect(hash(parse(part))).toBe(hash(base));
    const other: ConfigPart[] = [
      { training: { seed: 1 } },
      { model: { width: 64 } },
      { method: { pMean: 0 } },
      { data: { augmentation: "none" } },
      { method: "end-to-end" },
    ];
    for (const part of other) expect(hash(parse(part))).not.toBe(hash(base));
    expect(configHash(identityOf(registry, base, "b"))).not.toBe(configHash(identityOf(registry, base, "c")));
  });
});

describe("built from a configuration", () => {
  const cifar100 = { numClasses: 100, channels: 3, imageSize: 32 };
  const count = (units: readonly Unit[]): number => {
    const sizes = new Map(
      units.flatMap(({ trainable }) => [...trainable].map(([path, { shape }]) => [path, shape.reduce((a, b) => a * b, 1)] as const)),
    );
    return [...sizes.values()].reduce((a, b) => a + b, 0);
  };
  const preset = (name: string): ConfigPart => {
    const { description: _, ...part } = vitModel.presets[name]!;
    return part as ConfigPart;
  };

  // 52,039 common parameters and 12 layers of 872,... with adaLN: the official CIFAR-100 network has 10,529,095.
  test("the preset official-cifar100 has the parameters of the official network", () => {
    expect(count(buildMethod(registry, parse(preset("official-cifar100")), cifar100).units)).toBe(10_529_095);
  });

  test("the preset paper-cifar100 adds a class token and its position", () => {
    expect(count(buildMethod(registry, parse(preset("paper-cifar100")), cifar100).units)).toBe(10_529_095 + 2 * 128);
  });

  test("blocks make as many layer evaluations as end-to-end training, and the shallow twin as many as one block", () => {
    const evaluations = (method: string): number => {
      const config = parse({ method, model: { numLayers: 12 } });
      const { units } = buildMethod(registry, config, cifar100);
      return units.reduce((sum, { layerEvaluations }) => sum + layerEvaluations * buildSchedule(config, 390).steps, 0);
    };
    expect(evaluations("blocks")).toBe(evaluations("end-to-end"));
    expect(evaluations("shallow-twin")).toBe(evaluations("end-to-end") / 3);
  });

  test("unequal blocks get their layers in order", () => {
    const config = parse({ method: { layersPerBlock: [3, 2, 1] } });
    expect((buildMethod(registry, config, cifar100) as DiffusionBlocks).layersPerBlock).toEqual([3, 2, 1]);
  });

  test("the batches of one update do not overwrite each other", async () => {
    const data = generateEmbedded({ train: 20, test: 1 });
    const batches = classes.batches(data, { augmentation: "flip-crop" }, { batchSize: 5, accumulate: 2, seed: 0 });
    const [first, second] = [await batches.at(0), await batches.at(1)];
    const before = [...first.labels];
    expect(first.input).not.toBe(second.input);
    expect([...first.labels]).toEqual(before);
    expect((await batches.at(2)).input).toBe(first.input);
  });
});
