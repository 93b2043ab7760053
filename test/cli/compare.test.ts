import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { data, dblocks, folder, type Outcome, records, small } from "../support/cli.ts";

describe("compare", () => {
  const compare = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("compare", "vit", "--run", join(folder, run), ...small, "--epochs", "1", "--seeds", "1", ...more);
  interface Row {
    readonly method: string;
    readonly score: { readonly title: string; readonly value: number };
    readonly seconds: number;
    readonly layerEvaluations: number;
    readonly units: number;
    readonly updates: number;
    readonly samples: number;
    readonly gradientParameters: number;
  }

  test("trains every system in a process of its own, takes what is there, and writes table, CSV, JSON and report", async () => {
    const first = await compare("compared", "--methods", "end-to-end,greedy", "--json");
    const { runs } = JSON.parse(first.stdout) as { runs: Row[] };
    const controls = ["checkpointing", "shallow-twin", "shallow-twin-equal-evaluations", "twin-ensemble"];
    expect(runs.map(({ method }) => method)).toEqual(["end-to-end", "greedy", ...controls]);
    expect(runs.every(({ score, seconds }) => score.title === "test accuracy %" && score.value >= 0 && seconds > 0)).toBe(true);
    // 10 steps of 20 images: through 3 layers; through 1 each, and forward through those before; as end to end; through 1; thrice as long; 3 of them.
    expect(runs.map(({ layerEvaluations }) => layerEvaluations)).toEqual([600, 800, 600, 200, 600, 600]);
    expect(runs.map(({ units, updates, samples }) => [units, updates, samples])).toEqual(
      [1, 3, 1, 1, 1, 3].map((units, i) => [units, i === 4 ? 30 : 10, i === 4 ? 600 : 200]),
    );
    expect(runs[1]!.gradientParameters).toBeLessThan(runs[0]!.gradientParameters);
    const again = await compare("compared", "--methods", "end-to-end,greedy,blocks", "--no-controls", "--json");
    expect(again.stderr.match(/was there/g)).toHaveLength(2);
    expect((JSON.parse(again.stdout) as { runs: Row[] }).runs.slice(0, 2)).toEqual(runs.slice(0, 2));
    expect(readFileSync(join(folder, "compared", "report.html"), "utf8")).toMatch(
      /Without a row: checkpointing \(by --no-controls\), shallow-twin/,
    );
    expect(readdirSync(join(folder, "compared"))).toEqual(expect.arrayContaining(["compare.csv", "compare.json", "report.html"]));
    expect(
      readFileSync(join(folder, "compared", "compare.csv"), "utf8")
        .trim()
        .split("\n"),
    ).toHaveLength(4);
  });

  test("a perceptron is compared by the methods that fit it, and one unit of greedy training is not trained alone", async () => {
    const options = ["--data", data, "--batch", "20", "--epochs", "1", "--width", "24", "--threads", "1", "--seeds", "1"];
    const { code, stdout } = await dblocks(
      "compare",
      "mlp",
      ...options,
      "--methods",
      "end-to-end,forward-forward",
      "--run",
      join(folder, "mlps"),
    );
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/forward-forward.*\n.*checkpointing.*\n.*shallow-twin.*\n.*equal-evaluations.*\n.*twin-ensemble/),
    ]);
    const alone = await dblocks("train", "vit", ...small, "--method", "greedy", "--block", "1", "--run", join(folder, "greedy-alone"));
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringMatching(/on finished units before it.*Leave --block out/)]);
  });

  test("--equal-evaluations gives each system the layer evaluations of the first", async () => {
    const methods = ["--methods", "end-to-end,twin-ensemble,blocks", "--no-controls", "--equal-evaluations", "--set", "model.numLayers=6"];
    const { stdout } = await compare("equal", ...methods, "--epochs", "2", "--json");
    const { runs } = JSON.parse(stdout) as { runs: Row[] };
    expect(new Set(runs.map(({ layerEvaluations }) => layerEvaluations)).size).toBe(1);
  });

  test("reproduce --list trains nothing: it says what there is, what is done, and what a table costs", async () => {
    const all = await dblocks("reproduce", "--list");
    expect(all).toMatchObject({ code: 0 });
    expect(all.stdout).toMatch(/^noprop +6 +NoProp and DiffusionBlocks on NoProp's convolutional network +CIFAR-100, 50,000 images +5/m);
    const costs = await dblocks("reproduce", "dit", "--list", "--scale", "paper");
    expect(costs.stdout).toMatch(/^blocks +9,765 +[\d,]+ +[\d,]+ MB$/m);
  });

  test("reproduce prints a table of the paper with the published figures beside ours", async () => {
    const few = join(folder, "few");
    mkdirSync(few);
    writeFileSync(join(few, "data_batch_1.bin"), records(20, 1));
    writeFileSync(join(few, "test_batch.bin"), records(10, 2));
    const sizes = ["--data", few, "--batch", "10", "--epochs", "1", "--threads", "1", "--seeds", "1"];
    const noProp = ["--denoising-steps", "2", "--inference-steps", "20"];
    const { stdout, code } = await dblocks("reproduce", "noprop", ...sizes, ...noProp, "--run", join(folder, "reproduced"));
    expect(code).toBe(0);
    for (const method of ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "blocks"]) expect(stdout).toContain(method);
    expect(stdout).toMatch(/published.*CIFAR-100 %/);
    expect(stdout).toContain("46.88");
  });

  test.each<[string, string[], RegExp]>([
    ["an unknown system", ["--methods", "greedy,magic"], /vit has no system "magic"\. Systems: .*end-to-end/],
    ["runs of another configuration", ["--methods", "greedy", "--lr", "0.5"], /another configuration/],
  ])("%s is refused", async (_, options, message) => {
    const { code, stderr } = await compare("compared", ...options);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
