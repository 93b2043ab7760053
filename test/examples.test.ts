import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** What the examples print, with the folder in which they write as the working one. They import the built package by its name, as users do. */
let lines: string[];
const home = process.cwd();
let folder: string;
beforeEach(() => {
  lines = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  folder = mkdtempSync(join(tmpdir(), "dblocks-examples-"));
  process.chdir(folder);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.chdir(home);
  rmSync(folder, { recursive: true, force: true });
});

test("one-block.ts: a block alone learns, and is saved", async () => {
  await import("../examples/one-block.ts");
  const losses = lines.flatMap((line) => /loss ([\d.]+)/.exec(line)?.slice(1).map(Number) ?? []);
  expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.2);
  expect(lines.at(-1)).toMatch(/saved .*step-000250\.safetensors/);
});

test("mixer.ts: an architecture of one's own learns in blocks and end to end", async () => {
  await import("../examples/mixer.ts");
  const accuracies = lines.map((line) => Number(/accuracy ([\d.]+) %/.exec(line)?.[1]));
  expect(accuracies).toHaveLength(2);
  for (const accuracy of accuracies) expect(accuracy).toBeGreaterThan(50);
});

test("local-loss.ts: a way of training of one's own learns, in under 80 lines", async () => {
  await import("../examples/local-loss.ts");
  const accuracies = lines.map((line) => Number(/accuracy ([\d.]+) %/.exec(line)?.[1]));
  expect(accuracies).toHaveLength(3);
  expect(accuracies[2]).toBeGreaterThan(40);
  expect(accuracies[2]).toBeGreaterThan(accuracies[0]!);
  const source = readFileSync(new URL("../examples/local-loss.ts", import.meta.url), "utf8");
  const strategy = source.slice(source.indexOf("function localLoss"), source.indexOf("\n}\n"));
  expect(strategy.split("\n").length).toBeLessThan(80);
});
