import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Tuning } from "../../src/studies/index.ts";
import { dblocks, folder, type Outcome } from "../support/cli.ts";

/**
 * An image format of the test's own: dark and bright pictures of 2×2. Its test part throws when it is looked at, until a file named
 * "unlocked" lies beside the data.
 */
const plugin = join(folder, "guarded.mjs");
writeFileSync(
  plugin,
  `import { existsSync } from "node:fs";
  const part = (count) => ({
    images: Uint8Array.from({ length: 4 * count }, (_, i) => 200 * (Math.floor(i / 4) % 2) + ((i * 7) % 50)),
    labels: Int32Array.from({ length: count }, (_, i) => i % 2),
    count, channels: 1, height: 2, width: 2,
  });
  export const guarded = {
    name: "guarded",
    description: "a file named .guarded",
    recognises: (path, files) => files === undefined && path.endsWith(".guarded"),
    load: async (path) => ({
      name: "guarded", classNames: ["dark", "bright"], numClasses: 2, mean: [0.5], std: [0.5],
      train: part(200),
      get test() {
        if (!existsSync(path + ".unlocked")) throw new Error("the test part was read");
        return part(20);
      },
    }),
  };`,
);
const data = join(folder, "pictures.guarded");
writeFileSync(data, "");

const compare = (...more: string[]): Promise<Outcome> =>
  dblocks(
    ...["--plugin", plugin, "compare", "mlp", "--data", data, "--methods", "end-to-end", "--no-controls", "--seeds", "1"],
    ...["--width", "8", "--batch", "20", "--epochs", "4", "--threads", "1", "--run", join(folder, "tuned"), ...more],
  );

test("--tune chooses by a validation part, the test part unread; then the test part is read, and the same command resumes", async () => {
  const locked = await compare("--tune");
  const trials = readdirSync(join(folder, "tuned", "tuning"));
  // Every trial was made, and the first training after them was the first to look at the test part.
  expect(trials).toHaveLength(locked.stderr.match(/^tuning /gm)!.length);
  expect([...new Set(trials.map((name) => /of-(.*)/.exec(name)![1]))].sort()).toEqual(["0.25", "0.5", "1"]);
  expect([locked.code, locked.stderr]).toEqual([1, expect.stringMatching(/\[end-to-end-s0\] dblocks: internal: the test part was read/)]);
  expect(locked.stderr.match(/the test part was read/g)).toHaveLength(1);

  writeFileSync(`${data}.unlocked`, "");
  const { stdout, stderr } = await compare("--tune", "--json");
  expect(stderr.match(/^tuning .*was there/gm)).toHaveLength(trials.length);
  const { trials: tried, chosen, runs } = JSON.parse(stdout) as Tuning & { readonly runs: readonly { readonly learningRate: number }[] };
  expect(chosen).toEqual([{ system: "end-to-end", option: "lr", value: runs[0]!.learningRate, isAtEdge: false }]);
  // The chosen value is the best of those that were tried in a whole training.
  const last = tried.filter(({ share }) => share === 1);
  const best = Math.max(...last.map(({ score }) => score!.value));
  expect(last.filter(({ score }) => score!.value === best).map(({ value }) => value)).toContain(chosen[0]!.value);
  const report = readFileSync(join(folder, "tuned", "report.html"), "utf8");
  expect(report).toMatch(/Tuning[\s\S]*validation accuracy %/);
});

test("an option that is not tuned is refused", async () => {
  const { code, stderr } = await compare("--tune", "lr,dropout");
  expect([code, stderr]).toEqual([2, expect.stringMatching(/"dropout" is not tuned\. Options: lr, warmup, weight-decay/)]);
});

test("a loss that becomes infinite has an exit code of its own", async () => {
  const wild = ["--optimizer", "sgd", "--lr", "1e38", "--clip", "1e38", "--epochs", "2", "--batch", "20", "--threads", "1"];
  const { code } = await dblocks(
    "--plugin",
    plugin,
    "train",
    "mlp",
    "--method",
    "end-to-end",
    "--data",
    data,
    ...wild,
    "--run",
    join(folder, "wild"),
  );
  expect(code).toBe(3);
});
