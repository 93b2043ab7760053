import { describe, expect, test } from "vitest";
import type { DiffusionBlocks } from "../blocks/index.ts";
import { generateEmbedded } from "../data/index.ts";
import { configHash } from "../run/index.ts";
import type { Unit } from "../train/index.ts";
import { buildBatches, buildMethod, buildSchedule } from "./build.ts";
import { presets } from "./presets.ts";
import { identityOf, parseRunConfig, type RunConfig } from "./runConfig.ts";

const hash = (config: RunConfig): string => configHash(identityOf(config, "a data set"));

describe("a run's configuration", () => {
  test("later parts win over earlier ones, and the rest has defaults", () => {
    const config = parseRunConfig([{ training: { epochs: 3, batchSize: 7 } }, { training: { epochs: 5 } }]);
    expect(config.training).toMatchObject({ epochs: 5, batchSize: 7, optimizer: "adamW" });
  });

  test("survives JSON", () => {
    const config = parseRunConfig([{ blocks: { shared: { averageEvery: 10 }, layersPerBlock: [1, 3, 2] } }]);
    expect(parseRunConfig([JSON.parse(JSON.stringify(config)) as object])).toEqual(config);
  });

  test("refuses unknown keys and wrong values, naming them", () => {
    expect(() => parseRunConfig([{ training: { epoch: 3 } }])).toThrow(/training\.epoch.*Did you mean "epochs"/);
    expect(() => parseRunConfig([{ blocks: { overlap: -1 } }])).toThrow(/blocks\.overlap: -1/);
    expect(() => parseRunConfig([{ blocks: { shared: { averageEvery: Number.POSITIVE_INFINITY } } }])).toThrow(/blocks\.shared/);
  });

  test("where and how it is executed, where the data lie and how answers are read do not make another run; anything else does", () => {
    const base = parseRunConfig([]);
    const same = [
      { execution: { device: "webgpu", threads: 3, schedule: "interleaved", saveEvery: 7 } },
      { data: { path: "elsewhere", name: "x" } },
      { blocks: { sampling: { bridge: "hard" } } },
    ];
    for (const part of same) expect(hash(parseRunConfig([part]))).toBe(hash(base));
    const other = [{ training: { seed: 1 } }, { network: { width: 64 } }, { blocks: { pMean: 0 } }, { data: { augmentation: "none" } }];
    for (const part of other) expect(hash(parseRunConfig([part]))).not.toBe(hash(base));
    expect(configHash(identityOf(base, "b"))).not.toBe(configHash(identityOf(base, "c")));
  });
});

describe("built from a configuration", () => {
  const cifar100 = { numClasses: 100, train: { channels: 3, height: 32, width: 32 } };
  const count = (units: readonly Unit[]): number => {
    const sizes = new Map(
      units.flatMap(({ trainable }) => [...trainable].map(([path, { shape }]) => [path, shape.reduce((a, b) => a * b, 1)] as const)),
    );
    return [...sizes.values()].reduce((a, b) => a + b, 0);
  };

  // 52,039 common parameters and 12 layers of 872,... with adaLN: the official CIFAR-100 network has 10,529,095.
  test("the preset official-cifar100 has the parameters of the official network", () => {
    const { units } = buildMethod(parseRunConfig([presets["official-cifar100"]]), cifar100);
    expect(count(units)).toBe(10_529_095);
  });

  test("the preset paper-cifar100 adds a class token and its position", () => {
    const { units } = buildMethod(parseRunConfig([presets["paper-cifar100"]]), cifar100);
    expect(count(units)).toBe(10_529_095 + 2 * 128);
  });

  test("blocks make as many layer evaluations as end-to-end training, and the shallow twin as many as one block", () => {
    const evaluations = (method: RunConfig["method"]): number => {
      const config = parseRunConfig([{ method, network: { numLayers: 12 } }]);
      return buildMethod(config, cifar100).units.reduce((sum, { numLayers }) => sum + numLayers * buildSchedule(config, 390).steps, 0);
    };
    expect(evaluations("blocks")).toBe(evaluations("end-to-end"));
    expect(evaluations("shallow-twin")).toBe(evaluations("end-to-end") / 3);
  });

  test("unequal blocks get their layers in order", () => {
    const config = parseRunConfig([{ blocks: { layersPerBlock: [3, 2, 1] } }]);
    expect((buildMethod(config, cifar100) as DiffusionBlocks).units.map(({ numLayers }) => numLayers)).toEqual([3, 2, 1]);
  });

  test("the batches of one update do not overwrite each other", async () => {
    const data = generateEmbedded({ train: 20, test: 1 });
    const batches = buildBatches(parseRunConfig([{ training: { batchSize: 5, accumulate: 2 } }]), data);
    const [first, second] = [await batches.at(0), await batches.at(1)];
    const before = [...first.labels];
    expect(first.input).not.toBe(second.input);
    expect([...first.labels]).toEqual(before);
    expect((await batches.at(2)).input).toBe(first.input);
  });
});
