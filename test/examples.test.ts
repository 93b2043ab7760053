import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

/** Examples are run as users run them: with the built package, by the command line or by Node, in an empty folder. */
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dblocks-examples-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

const example = (name: string): string => join(root, "examples", name);
const dblocks = (plugin: string, ...words: string[]): Promise<Outcome> =>
  run(join(root, "dist/cli/main.js"), "--plugin", example(plugin), ...words);
const accuracyIn = (stdout: string): number => Number(/test accuracy ([\d.]+)/.exec(stdout)?.[1]);

test("one-block.mjs: a block alone learns, and is saved", async () => {
  const { code, stdout } = await run(example("one-block.mjs"));
  const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
  expect([code, stdout]).toEqual([0, expect.stringMatching(/saved .*step-000250\.safetensors/)]);
  expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.2);
});

/** Grey squares of 4×4 in three classes, two of them rare. */
const rows = Array.from({ length: 400 }, (_, i) => {
  const label = i % 3 === 0 ? i % 2 : 2;
  return [label, ...Array.from({ length: 16 }, (_, p) => (p % 3 === label ? 200 : 20) + ((i * 7 + p * 13) % 30))].join(",");
});
writeFileSync(join(folder, "some.grey.csv"), rows.join("\n"));
writeFileSync(join(folder, "bad.grey.csv"), `${rows[0]}\n0,1,2\n`);

const grey = ["--plugin", example("greyscale.mjs"), "--data", "some.grey.csv", "--augment", "none", "--evaluate-every", "0"];

describe("mixer.mjs: a model of one's own", () => {
  test("its options are flags with defaults in help, and are refused elsewhere", async () => {
    const { stdout } = await dblocks("mixer.mjs", "train", "mixer", "--help");
    expect(stdout).toMatch(/--width .*48/);
    expect(stdout).toContain("--blocks");
    expect((await dblocks("mixer.mjs", "train", "mixer", "--label-token", "class")).code).toBe(2);
  });

  test("it trains in blocks and end to end, and is loaded, planned and compared like any other", async () => {
    const settings = [...grey, "--patch", "2", "--width", "16", "--layers", "2", "--batch", "20", "--epochs", "5"];
    for (const words of [
      ["--blocks", "2"],
      ["--method", "end-to-end"],
    ]) {
      const path = join(folder, `mixer-${words[1]}`);
      const { code, stdout, stderr } = await dblocks("mixer.mjs", "train", "mixer", "--run", path, ...settings, ...words);
      expect([code, stderr.includes("dblocks:")]).toEqual([0, false]);
      expect(accuracyIn(stdout)).toBeGreaterThan(90);
      expect(accuracyIn((await dblocks("mixer.mjs", "evaluate", path, "--plugin", example("greyscale.mjs"))).stdout)).toBe(
        accuracyIn(stdout),
      );
    }
    expect((await dblocks("mixer.mjs", "plan", "mixer", "--blocks", "2", "--json")).code).toBe(0);
    expect((await run(join(root, "dist/cli/main.js"), "evaluate", join(folder, "mixer-2"))).stderr).toContain("mixer");
  });
});

test("local-loss.mjs: a method of one's own trains, its units in order, in under 80 lines; beside another plugin", async () => {
  const sizes = [
    "--groups",
    "3",
    "--width",
    "16",
    "--layers",
    "3",
    "--heads",
    "2",
    "--patch",
    "2",
    "--lr",
    "0.01",
    "--epochs",
    "5",
    "--batch",
    "20",
  ];
  const run = join(folder, "local-loss");
  const { code, stdout } = await dblocks("local-loss.mjs", "train", "vit", "--method", "local-loss", ...sizes, ...grey, "--run", run);
  expect(code).toBe(0);
  const alone = [...stdout.matchAll(/group-(\d) alone ([\d.]+) %/g)].map(([, , share]) => Number(share));
  expect(alone).toHaveLength(3);
  for (const accuracy of alone) expect(accuracy).toBeGreaterThan(90);
  const source = readFileSync(example("local-loss.mjs"), "utf8");
  expect(source.slice(source.indexOf("export function localLoss"), source.indexOf("\n}\n")).split("\n").length).toBeLessThan(80);
});

test("greyscale.mjs: a data format and a task of one's own are known to training, evaluation and errors", async () => {
  const train = (data: string): Promise<Outcome> =>
    dblocks("greyscale.mjs", "train", "balanced-mlp", "--width", "32", "--data", data, "--run", join(folder, "grey"), "--epochs", "5");
  const bad = await train("bad.grey.csv");
  expect([bad.code, bad.stderr]).toEqual([42, expect.stringContaining("bad.grey.csv, line 2: not a class and side")]);
  const { code, stdout } = await train("some.grey.csv");
  expect([code, stdout]).toEqual([0, expect.stringMatching(/balanced accuracy % (100|9\d)\./)]);
  expect((await dblocks("greyscale.mjs", "evaluate", join(folder, "grey"))).stdout).toContain("balanced accuracy");
});

test("midpoint.mjs: a sampler of one's own goes through the one reverse process, with its order", async () => {
  const { stdout } = await run(example("midpoint.mjs"));
  const [, , midpoint] = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(": ")[1]!.split(", ").map(Number));
  const [coarse, middle, fine] = midpoint as [number, number, number];
  expect(coarse / middle).toBeGreaterThan(2.8); // order 2: a quarter for half the step
  expect(middle / fine).toBeGreaterThan(2.8);
});

test("own-data.mjs: rows from anywhere are a data set, and are learned", async () => {
  const { code, stdout } = await run(example("own-data.mjs"));
  expect([code, stdout]).toEqual([0, expect.stringMatching(/540 for training, 60 for tests/)]);
  expect(accuracyIn(stdout)).toBeGreaterThan(80);
});
