import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { RunFolder } from "../../src/run/index.ts";
import { dblocks, folder, train, weights } from "../support/cli.ts";

const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  for (const [run, ...more] of [["whole"], ["a", "--block", "0,2"], ["b", "--block", "1"]] as const)
    expect((await train(run, ...more)).code).toBe(0);
}, 120_000);

describe("merge", () => {
  test("blocks of several folders become the run that one machine would have trained", async () => {
    const merged = await dblocks("merge", at("a"), at("b"), "--out", at("merged"));
    expect([merged.code, merged.stdout]).toEqual([0, expect.stringMatching(/block-1 .*\/b .*30/)]);
    expect(weights("merged")).toEqual(weights("whole"));
    const evaluated = JSON.parse((await dblocks("train", "vit", "--run", at("merged"), "--json")).stdout);
    expect(evaluated.evaluation).toEqual(await new RunFolder(at("whole")).readEvaluation());
    const steps = (run: string): number[] => {
      const logs = ["", "block-0", "block-1", "block-2"].map((unit) => join(at(run), unit, "metrics.jsonl")).filter(existsSync);
      const lines = logs.flatMap((log) => readFileSync(log, "utf8").split("\n")).filter((line) => line.includes('"unit"'));
      return lines
        .map((line) => JSON.parse(line) as { unit: string; step: number })
        .map(({ unit, step }) => 100 * Number(unit.at(-1)) + step);
    };
    expect(steps("merged").sort()).toEqual(steps("whole").sort());
  });

  test("a block that is missing is named, with the command that trains it", async () => {
    const { code, stderr } = await dblocks("merge", at("a"), "--out", at("partial"));
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/block-1 is in none of them\. .*dblocks train vit --run \S+ --units block-1/),
    ]);
    expect((await dblocks("train", "vit", "--run", at("partial"), "--units", "block-1")).code).toBe(0);
    expect(weights("partial")).toEqual(weights("whole"));
  });

  test("two states of a block are refused, or the newer one is taken; the same bytes twice are no choice", async () => {
    cpSync(at("a"), at("older"), { recursive: true });
    const block = join(at("older"), "block-0");
    for (const name of readdirSync(block)) if (name.includes("000030")) writeFileSync(join(block, name), "");
    const all = ["merge", at("older"), at("a"), at("b"), "--out"];
    const refused = await dblocks(...all, at("refused"));
    const message = /block-0 is in two runs: at step 30 in \S*\/a, which is newer, and at step 28 in \S*\/older\. --newest/;
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(existsSync(at("refused"))).toBe(false);
    expect((await dblocks(...all, at("newest"), "--newest")).code).toBe(0);
    expect(weights("newest")).toEqual(weights("whole"));
    expect((await dblocks("merge", at("a"), at("whole"), "--out", at("twice"))).code).toBe(0);
  });

  test("runs that do not belong together are refused, and a folder that holds a run", async () => {
    expect((await train("other-rate", "--block", "1", "--lr", "0.01")).code).toBe(0);
    const rate = await dblocks("merge", at("a"), at("other-rate"), "--out", at("mixed"));
    expect([rate.code, rate.stderr]).toEqual([2, expect.stringMatching(/other-rate does not belong to .*: training\.learningRate/)]);
    const taken = await dblocks("merge", at("a"), at("b"), "--out", at("whole"));
    expect([taken.code, taken.stderr]).toEqual([2, expect.stringMatching(/There is a run in .*whole/)]);
  });
});

test("status shows each block: what is trained, how far, and by which process", async () => {
  const statuses = JSON.parse((await dblocks("status", at("a"), "--json")).stdout);
  expect(statuses).toMatchObject([
    { unit: "block-0", state: "trained", step: 30, steps: 30, loss: expect.any(Number), where: expect.stringMatching(/^\d+ on /) },
    { unit: "block-1", state: "not started", step: 0, steps: 30 },
    { unit: "block-2", state: "trained", step: 30, steps: 30 },
  ]);
  expect((await dblocks("status", at("a"))).stdout).toMatch(/block-1 +not started +0\/30/);
  expect((await train("half-way", "--max-steps", "12", "--block", "0")).code).toBe(0);
  const resumed = await dblocks("status", at("half-way"), "--json");
  expect(JSON.parse(resumed.stdout)[0]).toMatchObject({ state: "trained", step: 12, steps: 12 });
});
