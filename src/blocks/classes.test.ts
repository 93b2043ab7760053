import { describe, expect, test } from "vitest";
import { tinyVit } from "../../test/support/tiny.ts";
import { edmNoise, partition } from "../diffusion/index.ts";
import { PartitionError } from "../errors.ts";
import { officialChoices, vit, vitOfficialCifar100 } from "../models/index.ts";
import { sizeOf, type Tensor } from "../tensor/index.ts";
import { type BlocksOptions, convert, type DiffusionBlocks } from "./classes.ts";
import type { SharedPolicy } from "./sharing.ts";

const cut = partition({ numBlocks: 3, noise: edmNoise });
const tiny = (options: Partial<BlocksOptions> = {}): DiffusionBlocks => convert(tinyVit(), { partition: cut, ...options });
const count = (parameters: Iterable<Tensor>): number => [...parameters].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const policies: SharedPolicy[] = ["owned", "frozen", "together", { averageEvery: 10 }];

describe.each(policies)("shared: %j", (shared) => {
  const dblocks = tiny({ shared, targetEmbedding: "learned" });

  test("layers have one owner each, block 0 the first ones", () => {
    const layersOf = dblocks.units.map(({ trainable }) => [
      ...new Set([...trainable.keys()].flatMap((path) => /^block-\d+\/layers\.(\d+)\./.exec(path)?.[1] ?? [])),
    ]);
    expect(layersOf).toEqual([["0"], ["1"], ["2"]]);
    expect(dblocks.units.map(({ name, layerEvaluations }) => [name, layerEvaluations])).toEqual([
      ["block-0", 1],
      ["block-1", 1],
      ["block-2", 1],
    ]);
  });

  test("one path is one tensor, and one tensor one path", () => {
    const all = dblocks.units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]);
    const paths = new Map(all);
    for (const [path, tensor] of all) expect(paths.get(path)).toBe(tensor);
    expect(new Set(paths.values()).size).toBe(paths.size);
  });

  test("what two units may change together is under shared/, and nothing else", () => {
    const [first, second] = dblocks.units.map(({ trainable }) => new Set(trainable.keys())) as [Set<string>, Set<string>];
    const common = [...first].filter((path) => second.has(path));
    if (shared !== "together") return expect(common).toEqual([]);
    expect(common.length).toBeGreaterThan(10);
    for (const path of common) expect(path).toMatch(/^shared\//);
    for (const path of [...first].filter((path) => !second.has(path))) expect(path).toMatch(/^block-0\/layers\.0\./);
  });

  test("a learned table that blocks do not train together stays as it was initialised", () => {
    for (const { trainable, frozen } of dblocks.units)
      expect([trainable.has("shared/targets"), frozen.has("shared/targets")]).toEqual([shared === "together", shared !== "together"]);
  });

  test("units are independent where they have nothing to exchange", () => {
    expect(dblocks.order.kind).toBe(shared === "owned" || shared === "frozen" ? "independent" : "interleaved");
    expect(dblocks.order.averaging?.every).toBe(typeof shared === "object" ? 10 : undefined);
  });
});

test("averaged are all parameters but those of the layers, over all blocks", () => {
  const {
    order: { averaging },
    units,
  } = tiny({ shared: { averageEvery: 5 } });
  const averaged = new Set(averaging!.groups.flat());
  for (const { trainable } of units) for (const path of trainable.keys()) expect(averaged.has(path)).toBe(!/\/layers\./.test(path));
  for (const group of averaging!.groups) expect(new Set(group.map((path) => path.replace(/^block-\d+/, ""))).size).toBe(1);
});

test("a fixed table is a constant that every unit carries along", () => {
  const { units, targets } = tiny();
  for (const { constants } of units) expect([...constants]).toEqual([["targets", targets.table]]);
  expect([...tiny({ targetEmbedding: "learned" }).units[0]!.constants]).toEqual([]);
});

test("layers that cannot be assigned are refused", () => {
  expect(() => convert(tinyVit({ numLayers: 4 }), { partition: cut })).toThrow(PartitionError);
  expect(
    convert(tinyVit({ numLayers: 4 }), { partition: cut, layersPerBlock: [2, 1, 1] }).blocks.map(({ numLayers }) => numLayers),
  ).toEqual([2, 1, 1]);
});

// The official code's counts, from the shapes of its modules.
describe("the official network for CIFAR-100", () => {
  const { units } = convert(vit(vitOfficialCifar100), { partition: cut, ...officialChoices });
  const all = new Map(units.flatMap(({ trainable }) => [...trainable]));
  const shared = [...all].filter(([path]) => path.startsWith("shared/"));

  test("has 10,529,095 parameters, of which 52,039 are shared", () => {
    expect(count(all.values())).toBe(10_529_095);
    expect(count(shared.map(([, tensor]) => tensor))).toBe(52_039);
  });

  test.each([
    ["stem.patches", 6_272],
    ["stem.positions", 8_320],
    ["targets", 12_800],
    ["noise", 5_859],
    ["head.norm", 256],
    ["head.modulation", 5_632],
    ["head.classifier", 12_900],
  ])("%s: %d", (part, expected) => {
    expect(count(shared.filter(([path]) => path.startsWith(`shared/${part}`)).map(([, tensor]) => tensor))).toBe(expected);
  });

  test("four layers of a block: 3,492,352, of which 16,896 are the noise conditioning of each layer", () => {
    const own = [...units[1]!.trainable].filter(([path]) => path.startsWith("block-1/layers."));
    expect(count(own.map(([, tensor]) => tensor))).toBe(3_492_352);
    expect(count(own.filter(([path]) => path.includes("layers.4.") && path.includes("modulate")).map(([, tensor]) => tensor))).toBe(16_896);
  });
});
