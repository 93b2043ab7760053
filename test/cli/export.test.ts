import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/index.ts";
import { decodeModel } from "../../src/index.ts";
import { dblocks, folder, train } from "../support/cli.ts";

describe("dblocks export", () => {
  test("writes a run as ONNX, as training steps and as safetensors", async () => {
    expect((await train("exported", "--max-steps", "1")).code).toBe(0);
    const run = join(folder, "exported");
    const onnx = await dblocks("export", run, "--json");
    const { files } = JSON.parse(onnx.stdout) as { files: { path: string; difference: number }[] };
    expect(files.map(({ path }) => path)).toEqual(
      ["network", "block-0", "block-1", "block-2"].map((name) => join(run, "export", `${name}.onnx`)),
    );
    for (const { difference } of files) expect(difference).toBeLessThan(1e-4);
    const { metadata, inputs } = decodeModel(readFileSync(files[0]!.path));
    expect(Object.fromEntries(inputs.map(({ name, shape }) => [name, shape]))).toEqual({ input: [-1, 3, 32, 32], noise: [-1, 16] });
    expect(JSON.parse(metadata.normalisation!)).toEqual({ mean: expect.any(Array), std: expect.any(Array) });
    expect(JSON.parse(metadata.classNames!)).toHaveLength(10);
    expect(JSON.parse(metadata.partition!)).toMatchObject({ boundaries: expect.any(Array) });
    expect(metadata.version).toMatch(/^diffusion-blocks \d/);

    const training = await dblocks("export", run, "--training", "--out", join(folder, "steps"));
    expect([training.code, training.stdout.split("\n").length]).toEqual([0, 4]);
    expect(readdirSync(join(folder, "steps")).sort()).toEqual([0, 1, 2].map((b) => `block-${b}.training.onnx`));

    expect((await dblocks("export", run, "--format", "safetensors", "--out", join(folder, "weights"))).code).toBe(0);
    expect(readdirSync(join(folder, "weights")).sort()).toEqual(["README.md", "config.json", "data.json", "model.safetensors"]);
    const { tensors } = readSafetensors(readFileSync(join(folder, "weights", "model.safetensors")));
    const names = [...tensors.keys()];
    expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^block-2\.layers\.2\.attention\./)]));
    expect(readFileSync(join(folder, "weights", "README.md"), "utf8")).toMatch(
      /library_name: diffusion-blocks.*million parameters.*block-1/s,
    );
  });

  test("options that do not fit are refused", async () => {
    const run = join(folder, "exported");
    for (const [words, message] of [
      [["--format", "safetensors", "--steps", "3"], /--steps: it is for --format onnx/],
      [["--training", "--steps", "3"], /--steps: a training step has no reverse process/],
      [["--guidance", "2"], /--guidance: it is for runs that draw images/],
      [["--format", "pickle"], /Allowed choices are onnx, safetensors/],
    ] as const) {
      const { code, stderr } = await dblocks("export", run, ...words);
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    }
  });
});
