import { expect, test } from "vitest";
import { registry } from "../registry/index.ts";
import { tableCosts } from "./tableCosts.ts";
import { studyTables } from "./tables/index.ts";

const table = (name: string) => studyTables.find((one) => one.name === name)!;

test("every table of the paper that trains something is there, each under a name of its own", () => {
  const papers = studyTables.flatMap(({ paper }) => paper.split(", "));
  for (const wanted of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "G"]) expect(papers).toContain(wanted);
  expect(new Set(studyTables.map(({ name }) => name)).size).toBe(studyTables.length);
});

test("costs follow from the published amount of data and the graphs", () => {
  const [endToEnd, blocks] = tableCosts(registry, table("dit"), "laptop");
  const { epochs = 0, batchSize = 16 } = table("dit").scales.laptop.training as { epochs?: number; batchSize?: number };
  expect(endToEnd!.updates).toBe(Math.floor((epochs * 50_000) / batchSize));
  // Three blocks of two layers make the operations of six layers, but for a head and a stem each.
  expect(blocks!.flops / endToEnd!.flops).toBeGreaterThan(0.97);
  expect(blocks!.flops / endToEnd!.flops).toBeLessThan(1.1);
  expect(blocks!.peak).toBeLessThan(endToEnd!.peak);
});

test("the twin of two blocks has half of the layers, and checkpointing costs operations and saves memory", () => {
  const [whole, , twin] = tableCosts(registry, table("table9"), "laptop");
  expect(twin!.flops / whole!.flops).toBeGreaterThan(0.48);
  expect(twin!.flops / whole!.flops).toBeLessThan(0.55);
  const [plain, checkpointed] = tableCosts(registry, table("checkpointing"), "laptop");
  expect(checkpointed!.flops).toBeGreaterThan(1.1 * plain!.flops);
  expect(checkpointed!.peak).toBeLessThan(0.8 * plain!.peak);
});

test("blocks of a language model need less the more there are", () => {
  const rows = tableCosts(registry, table("table11"), "gpu").map(({ row, peak }) => [row, peak] as const);
  const peaks = new Map(rows);
  expect([...peaks.keys()]).toEqual(["B=1", "B=2", "B=3", "B=4", "B=6"]);
  expect(peaks.get("B=4")! / peaks.get("B=1")!).toBeLessThan(0.6);
});
