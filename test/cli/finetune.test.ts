import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { registry } from "../../src/index.ts";
import { loadParameters, openTrainedRun, startFinetuning } from "../../src/runs/index.ts";
import { createCaller } from "../../src/train/index.ts";
import { dblocks, folder } from "../support/cli.ts";
import { device } from "../support/devices.ts";

const first = join(folder, "first.txt");
const second = join(folder, "second.txt");
writeFileSync(first, "the quick brown fox jumps over the lazy dog and runs away from the hunter ".repeat(60));
writeFileSync(second, "a hunter runs over the dog while the fox jumps away from the quick brown lazy ".repeat(60));
const tokens = Int32Array.from({ length: 2 * 16 }, (_, i) => (7 * i + 3) % 27);

async function logitsOf(path: string): Promise<Float32Array> {
  const run = await openTrainedRun(registry, path);
  await using caller = createCaller(run.method, { device: await device("cpu"), values: await loadParameters(run), batchSize: 2 });
  return (await caller.call((await run.method.exported!()).whole, { tokens })).logits!;
}

test("a pretrained language model goes on in blocks: the same numbers before the first step, better on the new text after", async () => {
  const sizes = ["--width", "16", "--heads", "2", "--layers", "4", "--length", "16", "--batch", "8", "--threads", "1", "--epochs", "4"];
  const pretrained = join(folder, "pretrained");
  expect((await dblocks("train", "autoregressive", "--method", "end-to-end", "--data", first, "--run", pretrained, ...sizes)).code).toBe(0);
  const untouched = join(folder, "untouched");
  await startFinetuning({ registry, from: pretrained, path: untouched, dataPath: second, numBlocks: 2 });
  expect(await logitsOf(untouched)).toEqual(await logitsOf(pretrained));

  const bitsOf = async (run: string): Promise<number> =>
    (JSON.parse((await dblocks("evaluate", run, "--data", second, "--json")).stdout) as { bits: number }).bits;
  const before = await bitsOf(pretrained);
  const tuned = join(folder, "tuned");
  const words = [
    "--from",
    pretrained,
    "--data",
    second,
    "--blocks",
    "2",
    "--run",
    tuned,
    "--epochs",
    "4",
    "--lr",
    "2e-3",
    "--threads",
    "1",
  ];
  const { code, stderr } = await dblocks("finetune", ...words);
  expect([code, stderr.includes("Error")]).toEqual([0, false]);
  expect(await bitsOf(tuned)).toBeLessThan(before - 0.05);
  expect(JSON.parse(readFileSync(join(tuned, "config.json"), "utf8"))).toMatchObject({ method: { context: "stacked", numBlocks: 2 } });

  expect((await dblocks("finetune", "--from", tuned, "--data", second, "--run", join(folder, "again"))).stderr).toMatch(
    /autoregressive, blocks; what is fine-tuned is autoregressive, trained end to end/,
  );
});

test("with adapters of low rank: the same numbers before the first step; what was pretrained stands still; merged on export", async () => {
  const sizes = ["--width", "16", "--heads", "2", "--layers", "2", "--length", "16", "--batch", "8", "--threads", "1", "--epochs", "2"];
  const pretrained = join(folder, "pretrained-2");
  expect((await dblocks("train", "autoregressive", "--method", "end-to-end", "--data", first, "--run", pretrained, ...sizes)).code).toBe(0);
  const untouched = join(folder, "untouched-2");
  for (const numBlocks of [2, undefined]) {
    const path = `${untouched}-${numBlocks}`;
    await startFinetuning({ registry, from: pretrained, path, dataPath: second, numBlocks, lora: 3 });
    expect(await logitsOf(path)).toEqual(await logitsOf(pretrained));
  }
  for (const [method, blocks] of [
    ["blocks", ["--blocks", "2"]],
    ["end-to-end", []],
  ] as const) {
    const tuned = join(folder, `lora-${method}`);
    const words = ["--from", pretrained, "--data", second, "--method", method, ...blocks, "--lora", "3", "--run", tuned];
    const { code, stderr } = await dblocks("finetune", ...words, "--max-steps", "6", "--lr", "5e-3", "--threads", "1");
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("Error")]);
    const [before, after] = [
      await openTrainedRun(registry, `${untouched}-${method === "blocks" ? 2 : undefined}`),
      await openTrainedRun(registry, tuned),
    ];
    const [start, end] = [await loadParameters(before), await loadParameters(after)];
    const changed = after.method.units.flatMap(({ trainable, frozen }) =>
      [...trainable.keys(), ...frozen.keys()].filter((path) => !start(path).every((value, i) => Object.is(value, end(path)[i]))),
    );
    expect(changed.some((path) => path.endsWith("qkv.lowRank.up"))).toBe(true);
    expect(changed.filter((path) => /layers\..*(weight|gain)$/.test(path) && !/modulate/.test(path))).toEqual([]);

    const merged = join(folder, `merged-${method}`);
    expect((await dblocks("export", tuned, "--format", "safetensors", "--merge", "--out", `${merged}-files`)).code).toBe(0);
    expect((await dblocks("import", `${merged}-files`, "--out", merged)).code).toBe(0);
    const [apart, together] = [await logitsOf(tuned), await logitsOf(merged)];
    for (const [i, logit] of apart.entries()) expect(Math.abs(logit - together[i]!)).toBeLessThan(1e-4);
  }
  const refused = await dblocks("export", pretrained, "--format", "safetensors", "--merge", "--out", join(folder, "nothing"));
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/autoregressive has no adapters/) });
}, 120_000);

test("some blocks learn, the others stay as they were; a run that was stopped between blocks has what the finished ones learned", async () => {
  const sizes = ["--width", "16", "--heads", "2", "--layers", "4", "--length", "16", "--batch", "8", "--threads", "1", "--epochs", "2"];
  const pretrained = join(folder, "pretrained-3");
  expect((await dblocks("train", "autoregressive", "--method", "end-to-end", "--data", first, "--run", pretrained, ...sizes)).code).toBe(0);
  const old = await loadParameters(await openTrainedRun(registry, pretrained));
  const valuesOf = async (name: string) => loadParameters(await openTrainedRun(registry, join(folder, name)));
  const finetune = (name: string, ...more: string[]) =>
    dblocks("finetune", "--from", pretrained, "--data", second, "--blocks", "2", "--run", join(folder, name), "--threads", "1", ...more);
  const weight = (block: number, layer: number): string => `block-${block}/layers.${layer}.attention.qkv.weight`;

  expect((await finetune("some", "--units", "block-1", "--max-steps", "5", "--lr", "2e-3")).code).toBe(0);
  const some = await valuesOf("some");
  expect(some(weight(0, 1))).toEqual(old("network/layers.1.attention.qkv.weight"));
  expect(some(weight(1, 2))).not.toEqual(old("network/layers.2.attention.qkv.weight"));
  expect((await finetune("some", "--units", "block-0", "--max-steps", "5", "--lr", "2e-3")).stderr).toMatch(
    /different are: training\.units/,
  );

  // Block 0 alone has learned; what block 1 remembers of it is older.
  expect((await finetune("first", "--units", "0", "--max-steps", "5", "--lr", "2e-3")).code).toBe(0);
  const trained = await valuesOf("first");
  expect(trained(weight(0, 1))).not.toEqual(old("network/layers.1.attention.qkv.weight"));
  expect(trained(weight(1, 2))).toEqual(old("network/layers.2.attention.qkv.weight"));

  expect((await finetune("no", "--units", "block-7")).stderr).toMatch(/There is no unit "block-7"/);
  expect((await finetune("no", "--method", "end-to-end", "--units", "block-1")).stderr).toMatch(/--(blocks|units): end to end all layers/);
}, 120_000);
