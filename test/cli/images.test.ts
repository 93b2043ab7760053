import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { asFloat32, readSafetensors } from "../../src/formats/index.ts";
import { data, dblocks, folder, type Outcome, train } from "../support/cli.ts";

describe("images", () => {
  const sizes = ["--data", data, "--batch", "20", "--width", "16", "--heads", "2", "--patch", "8", "--layers", "3", "--threads", "1"];
  const trainDit = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", "dit", "--run", join(folder, run), ...sizes, "--epochs", "1", ...more);
  const sample = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("sample", join(folder, run), "--steps", "4", "--count", "5", ...more);

  test("a diffusion transformer trains in blocks, is evaluated, verified, and draws images that depend on the seed alone", async () => {
    const trained = await trainDit("dit");
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/denoising loss on test images/)]);
    const { levels } = JSON.parse((await dblocks("evaluate", join(folder, "dit"), "--json")).stdout) as { levels: { block: string }[] };
    expect(new Set(levels.map(({ block }) => block)).size).toBe(3);
    expect((await dblocks("verify", join(folder, "dit"))).code).toBe(0);
    const report = readFileSync(join(folder, "dit", "report.html"), "utf8");
    for (const part of ["<h2>Samples</h2>", "Loss over sigma"]) expect(report).toContain(part);

    const [small, large, other] = ["small", "large", "other"].map((name) => join(folder, `${name}.safetensors`));
    await sample("dit", "--batch", "2", "--guidance", "1.5", "--out", small!);
    await sample("dit", "--batch", "8", "--guidance", "1.5", "--out", large!);
    await sample("dit", "--seed", "1", "--out", other!);
    const imagesOf = (file: string): Float32Array => asFloat32(readSafetensors(readFileSync(file)).tensors.get("images")!);
    const [a, b, c] = [small!, large!, other!].map(imagesOf) as [Float32Array, Float32Array, Float32Array];
    expect(a).toHaveLength(5 * 3 * 32 * 32);
    expect(Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))).toBeLessThan(1e-3);
    expect(Math.max(...a.map((x, i) => Math.abs(x - c[i]!)))).toBeGreaterThan(0.1);
    expect((await sample("dit", "--sampler", "euler", "--class", "3", "--out", join(folder, "grid.png"))).code).toBe(0);
    await sample("dit", "--out", `${join(folder, "drawn")}/`);
    expect(readdirSync(join(folder, "drawn"))).toEqual([0, 1, 2, 3, 4].map((i) => `00000${i}-class-${i}.png`));
    await sample("dit", "--out", join(folder, "way.apng"));
    expect(readFileSync(join(folder, "way.apng")).includes("acTL")).toBe(true);
    const features = join(folder, "features.onnx");
    const made = await dblocks(
      "features",
      "--data",
      data,
      "--epochs",
      "1",
      "--threads",
      "1",
      "--run",
      join(folder, "features"),
      "--out",
      features,
    );
    expect(made.stdout).toMatch(/96 features of a classifier/);
    const measured = await dblocks("evaluate", join(folder, "dit"), "--features", features, "--samples", "10", "--steps", "2");
    expect(measured.stdout).toMatch(/FID\[dblocks-features\] to the test images: .*; mean .*, least /);
    expect(measured.stderr).toMatch(/10 images for 96 features: a covariance is singular/);
    expect([...readFileSync(join(folder, "grid.png")).subarray(1, 4)]).toEqual([..."PNG"].map((c) => c.charCodeAt(0)));
  });

  test("compare reads the features before it trains anything", async () => {
    const compare = (features: string) =>
      dblocks("compare", "dit", "--run", join(folder, "unjudged"), ...sizes, "--features", join(folder, features));
    const missing = await compare("no-features.onnx");
    expect([missing.code, missing.stderr]).toEqual([42, expect.stringMatching(/no-features.onnx cannot be read/)]);
    writeFileSync(join(folder, "damaged.onnx"), "no model");
    const damaged = await compare("damaged.onnx");
    expect([damaged.code, damaged.stderr]).toEqual([42, expect.stringMatching(/damaged.onnx is no ONNX model/)]);
    expect(existsSync(join(folder, "unjudged"))).toBe(false);
  });

  test("compare judges diffusion models by what they draw", async () => {
    const measure = ["--features", join(folder, "features.onnx"), "--samples", "6", "--steps", "2"];
    const { stdout } = await dblocks(
      "compare",
      "dit",
      "--run",
      join(folder, "dits"),
      ...sizes,
      "--epochs",
      "1",
      "--seeds",
      "1",
      "--no-controls",
      ...measure,
      "--json",
    );
    const { runs } = JSON.parse(stdout) as { runs: { method: string; layerEvaluations: number; score: { title: string } }[] };
    expect(runs.map(({ method, layerEvaluations, score }) => [method, layerEvaluations, score.title])).toEqual([
      ["end-to-end", 600, "FID[dblocks-features], test"],
      ["blocks", 600, "FID[dblocks-features], test"],
    ]);
    const without = await dblocks(
      "compare",
      "dit",
      "--run",
      join(folder, "dits-loss"),
      ...sizes,
      "--methods",
      "blocks",
      "--epochs",
      "1",
      "--seeds",
      "1",
    );
    expect([without.code, without.stdout]).toEqual([0, expect.stringMatching(/denoising loss/)]);
  });

  test("options that a run of images does not have are refused; a class goes by its name", async () => {
    const refused = async (...words: string[]): Promise<readonly [number, string]> => {
      const { code, stderr } = await dblocks(...words);
      return [code, stderr];
    };
    const run = join(folder, "dit");
    expect(await refused("sample", run, "--prompt", "a")).toEqual([2, expect.stringMatching(/--prompt: .*draws images/)]);
    expect(await refused("sample", run, "--stop", "a")).toEqual([2, expect.stringMatching(/--stop: .*draws images/)]);
    expect(await refused("evaluate", run, "--seeds", "2")).toEqual([2, expect.stringMatching(/--seeds: the evaluation of this run/)]);
    expect(await refused("evaluate", run, "--guidance", "2")).toEqual([
      2,
      expect.stringMatching(/--guidance: images are drawn only with --features/),
    ]);
    expect(await refused("sample", run, "--class", "cta")).toEqual([
      2,
      expect.stringMatching(/--class cta: there is no class of this name/),
    ]);
    const [byName, byNumber] = ["name", "number"].map((name) => join(folder, `${name}.safetensors`));
    expect((await sample("dit", "--class", "3", "--out", byNumber!)).code).toBe(0);
    const { classNames } = JSON.parse(readFileSync(join(run, "data.json"), "utf8"));
    expect((await sample("dit", "--class", classNames[3], "--out", byName!)).code).toBe(0);
    expect(readFileSync(byName!)).toEqual(readFileSync(byNumber!));
  });

  test("bad input is refused in one line", async () => {
    await trainDit("plain", "--method", "end-to-end", "--no-conditional");
    await train("classifier", "--epochs", "1");
    const refused: [Promise<Outcome>, RegExp][] = [
      [sample("dit", "--class", "12"), /--class 12: there are 10: 0 \(.+\) to 9/],
      [sample("plain", "--guidance", "2"), /without classes.*Leave --guidance out/],
      [sample("plain", "--class", "1"), /this network knows no classes/],
      [sample("classifier"), /is a vit, which is for classes and not for images/],
      [sample("dit", "--out", "images.jpg"), /ends in \.png, \.apng or \.safetensors/],
      [sample("nothing"), /There is no run/],
      [dblocks("evaluate", join(folder, "dit"), "--features", "missing.onnx"), /missing\.onnx cannot be read.*dblocks features/],
      [dblocks("evaluate", join(folder, "dit"), "--features", join(data, "test_batch.bin")), /test_batch\.bin is no ONNX model/],
      [trainDit("odd", "--patch", "5"), /patches of 5 do not divide an image of 32/],
      [trainDit("greedy", "--method", "greedy"), /--method greedy cannot train dit/],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
  });
});
