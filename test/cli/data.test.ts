import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { data, dblocks, folder } from "../support/cli.ts";

describe("dblocks data", () => {
  test("info tells images from text, and draws a sheet", async () => {
    const out = join(folder, "sheet.png");
    const images = await dblocks("data", "info", data, "--out", out);
    expect([images.code, images.stdout]).toEqual([0, expect.stringMatching(/for training, .* for tests, pixels .* classes\n/)]);
    expect(existsSync(out)).toBe(true);
    const book = join(folder, "book-for-info.txt");
    writeFileSync(book, "to be or not to be ".repeat(40));
    const text = JSON.parse((await dblocks("data", "info", book, "--json")).stdout);
    expect(text).toMatchObject({ kind: "text", tokenizer: "text8", documents: 1, characters: 760 });
    expect(text.frequent[0]).toMatchObject({ token: " " });
  });

  test("info shows an augmentation, and refuses one that is none before it reads", async () => {
    const { code, stderr } = await dblocks("data", "info", "/nowhere", "--augment", "crop:4,flop");
    expect([code, stderr]).toEqual([2, expect.stringMatching(/Augmentation "flop": there is no such one/)]);
  });

  test("get knows the data sets by name; train says how to get what is not there", async () => {
    const unknown = await dblocks("data", "get", "cifar");
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringMatching(/no published data set "cifar"\. Known: cifar10, /)]);
    const missing = await dblocks("train", "vit", "--data", "cifar100", "--run", join(folder, "missing"));
    expect(missing.stderr).toMatch(/cifar100 is not in .* yet\. Download it: npx dblocks data get cifar100/);
    expect(existsSync(join(folder, "missing"))).toBe(false);
  });

  test("a run on a table, augmented as a list in its configuration", async () => {
    const table = join(folder, "table.csv");
    writeFileSync(table, ["x,y,label", ...Array.from({ length: 60 }, (_, i) => `${i % 2},${(i % 7) / 7},${i % 2}`)].join("\n"));
    const args = ["--data", table, "--layers", "1", "--width", "8", "--batch", "20", "--max-steps", "2", "--run", join(folder, "table")];
    const refused = await dblocks("train", "mlp", ...args, "--augment", "crop:2");
    expect([refused.code, refused.stderr]).toEqual([42, expect.stringMatching(/for pixels, and these are numbers/)]);
    const trained = await dblocks("train", "mlp", ...args, "--set", 'data.augmentation=["label-smoothing:0.1"]');
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/test accuracy/)]);
  });
});
