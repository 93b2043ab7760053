import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/index.ts";
import { data, dblocks, folder, goldenFolder } from "../support/cli.ts";

describe("options belong to a model and a method", () => {
  test.each<[string, string[], RegExp]>([
    ["of another model", ["dit", "--embedding", "learned"], /dit trained by blocks has no --embedding\. It belongs to .*image classifier/],
    ["of another kind of noise", ["masked-diffusion", "--strategy", "uniform"], /no --strategy\. It belongs to .*image generator/],
    [
      "of language models",
      ["vit", "--next-token-weight", "1"],
      /no --next-token-weight\. It belongs to --method blocks of a language model/,
    ],
    ["of images", ["autoregressive", "--patch", "7"], /no --patch\. It belongs to vit; dit/],
    ["a method that does not fit", ["vit", "--method", "noprop-dt"], /noprop-dt cannot train vit: .* Choose --method blocks/],
    ["a mistyped model", ["vti"], /no model "vti"\. Did you mean "vit"/],
    ["a mistyped method", ["vit", "--method", "bloks"], /no method "bloks"\. Did you mean "blocks"/],
    ["a setting of another model", ["dit", "--set", "model.labelToken=class"], /there is no "model\.labelToken"\. .* it belongs to vit/],
  ])("%s is refused, naming where it belongs", async (_, args, message) => {
    const { code, stderr } = await dblocks("train", ...args, "--run", join(folder, "bad"));
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(existsSync(join(folder, "bad"))).toBe(false);
  });

  test("help lists what a model trained by a method has, with its true defaults, and the rest with --all", async () => {
    const help = async (...args: string[]): Promise<string> => (await dblocks("train", ...args, "--help")).stdout.replace(/\s+/g, " ");
    const dit = await help("dit");
    expect(dit).toMatch(/--batch <n> samples in a batch \(default: 16\).*--lr <rate> peak learning rate \(default: 0\.003\)/);
    expect(dit).toMatch(/--p-mean <x> mean of ln sigma in training \(default: -1\.2\)/);
    expect(dit).not.toMatch(/--label-token|--query|--epsilon/);
    expect(await help("dit", "--all")).toContain("--epsilon");
    expect(await help("vit", "--method", "end-to-end")).not.toContain("--p-mean");
  });

  test("partition --for prints the cuts that training would make", async () => {
    const boundaries = async (...args: string[]) => JSON.parse((await dblocks("partition", "--blocks", "3", "--json", ...args)).stdout);
    expect((await boundaries("--for", "vit")).boundaries[1]).toBeCloseTo(18.0118, 3);
    expect((await boundaries("--for", "dit")).boundaries[1]).toBeCloseTo(0.505041, 5);
    expect((await boundaries("--for", "masked-diffusion")).ranges[0]).toEqual([expect.closeTo(2 / 3, 9), 1]);
    expect((await dblocks("partition", "--blocks", "3")).stderr).toMatch(/EDM's noise/);
  });

  test("a run of version 0.1 is refused, saying which version wrote it", async () => {
    mkdirSync(join(folder, "old"));
    writeFileSync(
      join(folder, "old", "config.json"),
      JSON.stringify({ model: "vit", method: "blocks", network: { width: 16 }, blocks: {} }),
    );
    const { code, stderr } = await dblocks("evaluate", join(folder, "old"));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/was written by version 0\.1 of diffusion-blocks/)]);
  });

  test("--plugin adds models, as many files as are named, before the command or after it", async () => {
    const door = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
    const plugin = (name: string): string => {
      const file = join(folder, `${name}.mjs`);
      writeFileSync(file, `import { mlpModel } from "${door}";\nexport const model = { ...mlpModel, name: "${name}" };\n`);
      return file;
    };
    const plugins = ["one", "two"].flatMap((name) => ["--plugin", plugin(name)]);
    const { stdout } = await dblocks(...plugins, "train", "two", "--data", data, "--width", "7", "--dry-run");
    expect(JSON.parse(stdout).model).toMatchObject({ name: "two", width: 7 });
    expect((await dblocks("train", "one", "--help", ...plugins)).stdout).toContain("--layers");
    const unknown = await dblocks("train", "one", "--data", data, "--dry-run");
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("one")]);
  });
});

const golden = join(goldenFolder, "vit_dblock.safetensors");

interface GoldenPartition extends Readonly<Record<"blocks" | "sigmaMin" | "sigmaMax" | "pMean" | "pStd", number>> {
  readonly equiProbability: readonly number[];
  readonly uniformLogSigma: readonly number[];
  readonly overlap: { readonly gamma: number; readonly clampedRanges: readonly (readonly number[])[] };
}

describe("other commands", () => {
  test("partition prints descending boundaries and ranges, block 0 first", async () => {
    const { boundaries, ranges, rangesWithOverlap } = JSON.parse((await dblocks("partition", "--blocks", "3", "--json")).stdout);
    const expected = [80, 0.505041, 0.179632, 0.002];
    for (const [i, boundary] of boundaries.entries()) expect(boundary / expected[i]!).toBeCloseTo(1, 5);
    expect(ranges).toEqual([0, 1, 2].map((b) => [boundaries[b + 1], boundaries[b]]));
    expect(rangesWithOverlap[1][0]).toBeLessThan(ranges[1][0]);
  });

  const goldenPartition = join(goldenFolder, "partition.json");
  test.skipIf(!existsSync(goldenPartition))("partition agrees with the reference values to 1e-9", async () => {
    const { partitions } = JSON.parse(readFileSync(goldenPartition, "utf8")) as { partitions: GoldenPartition[] };
    for (const { blocks, sigmaMin, sigmaMax, pMean, pStd, overlap, ...boundariesOf } of [partitions[2]!, partitions.at(-1)!]) {
      const settings = { blocks, "sigma-min": sigmaMin, "sigma-max": sigmaMax, "p-mean": pMean, "p-std": pStd, overlap: overlap.gamma };
      const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
      for (const [strategy, ascending] of [
        ["equi-probability", boundariesOf.equiProbability],
        ["uniform-log", boundariesOf.uniformLogSigma],
      ] as const) {
        const found = JSON.parse((await dblocks("partition", ...args, "--strategy", strategy, "--json")).stdout);
        const pairs = found.boundaries.map((sigma: number, i: number) => sigma / ascending.at(-1 - i)!);
        if (strategy === "equi-probability")
          pairs.push(
            ...overlap.clampedRanges.toReversed().flatMap((range, b) => range.map((sigma, i) => found.rangesWithOverlap[b][i] / sigma)),
          );
        for (const ratio of pairs) expect(Math.abs(ratio - 1)).toBeLessThan(1e-9);
      }
    }
  });

  test("plan predicts less memory for blocks, least with checkpointing, and finds what fits a budget", async () => {
    const args = ["plan", "vit", "--batch", "64", "--blocks", "3", "--layers", "12", "--json"];
    const report = JSON.parse((await dblocks(...args)).stdout);
    for (const key of ["parameters", "gradients", "optimizer", "activations", "peak"]) expect(report.endToEnd[key]).toBeGreaterThan(0);
    expect(report.blocks.perBlock).toHaveLength(3);
    expect(report.blocks.peak).toBeLessThan(report.endToEnd.peak);
    expect(report.blocksCheckpointing.peak).toBeLessThan(report.blocks.peak);
    expect(report.endToEndCheckpointing.activations).toBeLessThan(0.5 * report.endToEnd.activations);
    const { fit } = JSON.parse((await dblocks(...args, "--budget", `${report.blocks.peak + 1}`)).stdout);
    expect(fit.peak).toBeLessThanOrEqual(report.blocks.peak + 1);
    const timed = await dblocks(...args.slice(0, -1), "--budget", `${report.blocks.peak + 1}`, "--flops", "50G");
    expect(timed.stdout).toMatch(
      /blocks +checkpointing +parts +batch +peak of a process +GFLOP an update +one machine +a machine for each block +fits/,
    );
    expect(timed.stdout).toMatch(/^ +3 +\d+ × \d+ +\S+ MB +\S+ +\S+ s +\S+ s +yes$/m);
    expect((await dblocks(...args, "--budget", "1MB")).code).toBe(2);
  });

  test("doctor finds a backend", async () => {
    const { backends } = JSON.parse((await dblocks("doctor", "--json")).stdout);
    expect(backends.some((backend: { available: boolean }) => backend.available)).toBe(true);
  });

  test.skipIf(!existsSync(golden))("verify recomputes the reference file, and finds a tampered one", async () => {
    const outcome = await dblocks("verify", golden, "--json");
    expect(JSON.parse(outcome.stdout)).toMatchObject({ ok: true });
    const bytes = readFileSync(golden);
    const { data: weight } = readSafetensors(bytes).tensors.get("param.layers.0.up.weight")!;
    weight[6]! ^= 0x10; // an exponent bit of the first element
    const tampered = join(folder, "tampered.safetensors");
    writeFileSync(tampered, bytes);
    expect((await dblocks("verify", tampered)).code).toBe(1);
  });

  test("every command explains itself", async () => {
    for (const command of [
      "train",
      "evaluate",
      "sample",
      "compare",
      "reproduce",
      "plan",
      "partition",
      "verify",
      "bench",
      "predict",
      "config",
      "doctor",
      "demo",
    ]) {
      const { code, stdout } = await dblocks(command, "--help");
      expect(code).toBe(0);
      expect(stdout).toContain("Options:");
    }
  });
});
