import { join } from "node:path";
import { expect, test } from "vitest";
import { levelsAt } from "../../src/diffusion/index.ts";
import { registry } from "../../src/index.ts";
import type { ImageGenerator } from "../../src/inference/index.ts";
import { key, normals } from "../../src/random.ts";
import { loadParameters, openTrainedRun } from "../../src/runs/index.ts";
import { createCaller } from "../../src/train/index.ts";
import { dblocks, folder } from "../support/cli.ts";
import { device } from "../support/devices.ts";
import {
  attend,
  layerNorm,
  linear,
  type Matrix,
  patchesOf,
  plus,
  publish,
  rowsOf,
  silu,
  vectorOf,
  type Weights,
  weightsOf,
} from "../support/plainNetworks.ts";

const [w, heads, depth, size, patch, channels, classes] = [8, 2, 2, 8, 2, 4, 3];
const config = {
  model_type: "DiT",
  input_size: size,
  patch_size: patch,
  in_channels: channels,
  hidden_size: w,
  depth,
  num_heads: heads,
  num_classes: classes,
};
const tokens = (size / patch) ** 2;
const linearShapes = (name: string, out: number, ...inputs: readonly number[]): [string, readonly number[]][] => [
  [`${name}.weight`, [out, ...inputs]],
  [`${name}.bias`, [out]],
];
const shapes = (outputs: number): Record<string, readonly number[]> =>
  Object.fromEntries([
    ["pos_embed", [1, tokens, w]] as [string, readonly number[]],
    ...linearShapes("x_embedder.proj", w, channels, patch, patch),
    ...linearShapes("t_embedder.mlp.0", w, 256),
    ...linearShapes("t_embedder.mlp.2", w, w),
    ["y_embedder.embedding_table.weight", [classes + 1, w]] as [string, readonly number[]],
    ...Array.from({ length: depth }, (_, i) => `blocks.${i}`).flatMap((block) => [
      ...linearShapes(`${block}.attn.qkv`, 3 * w, w),
      ...linearShapes(`${block}.attn.proj`, w, w),
      ...linearShapes(`${block}.mlp.fc1`, 4 * w, w),
      ...linearShapes(`${block}.mlp.fc2`, w, 4 * w),
      ...linearShapes(`${block}.adaLN_modulation.1`, 6 * w, w),
    ]),
    ...linearShapes("final_layer.linear", patch ** 2 * outputs, w),
    ...linearShapes("final_layer.adaLN_modulation.1", 2 * w, w),
  ]);

/** get_2d_sincos_pos_embed of the published code: the first half of the channels tells the column. */
const positions = Array.from({ length: tokens }, (_, token) => {
  const half = (place: number): number[] => {
    const angles = Array.from({ length: w / 4 }, (_, k) => place / 10_000 ** (k / (w / 4)));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  return [...half(token % (size / patch)), ...half(Math.floor(token / (size / patch)))];
});
const published = (outputs: number): Weights => {
  const weights = weightsOf(shapes(outputs));
  return weights.set("pos_embed", { ...weights.get("pos_embed")!, data: Float32Array.from(positions.flat()) });
};

/** What the network says of √ᾱ y + √(1 − ᾱ) ε at step t: the noise, [channels · size · size]. */
function reference(weights: Weights, x: Float32Array, t: number, label: number, outputs: number): number[] {
  const m = (name: string): Matrix => rowsOf(weights.get(name)!);
  const v = (name: string): number[] => vectorOf(weights.get(name)!);
  const of = (rows: Matrix, name: string): Matrix => linear(rows, m(`${name}.weight`), v(`${name}.bias`));
  const each = (rows: Matrix, f: (x: number) => number): Matrix => rows.map((row) => row.map(f));
  const angles = Array.from({ length: 128 }, (_, k) => t * Math.exp((-Math.log(10_000) * k) / 128));
  const time = of(each(of([[...angles.map(Math.cos), ...angles.map(Math.sin)]], "t_embedder.mlp.0"), silu), "t_embedder.mlp.2");
  const condition = plus(time, [m("y_embedder.embedding_table.weight")[label]!]);
  const modulation = (name: string): number[][] => {
    const all = of(each(condition, silu), name)[0]!;
    return Array.from({ length: all.length / w }, (_, i) => all.slice(i * w, (i + 1) * w));
  };
  const [ones, zeros] = [new Array<number>(w).fill(1), new Array<number>(w).fill(0)];
  const modulated = (rows: Matrix, shift: readonly number[], scale: readonly number[]): Matrix =>
    layerNorm(rows, ones, zeros, 1e-6).map((row) => row.map((value, i) => value * (1 + scale[i]!) + shift[i]!));
  const gated = (rows: Matrix, gate: readonly number[]): Matrix => rows.map((row) => row.map((value, i) => gate[i]! * value));
  const geluTanh = (y: number): number => 0.5 * y * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (y + 0.044715 * y ** 3)));
  let h = plus(of(patchesOf(x, { size, patch, channels }), "x_embedder.proj"), positions);
  for (let i = 0; i < depth; i++) {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulation(`blocks.${i}.adaLN_modulation.1`) as number[][];
    const qkv = of(modulated(h, shift1!, scale1!), `blocks.${i}.attn.qkv`);
    const [q, k, values] = [0, 1, 2].map((part) => qkv.map((row) => row.slice(part * w, (part + 1) * w))) as [Matrix, Matrix, Matrix];
    h = plus(h, gated(of(attend(q, k, values, heads, false), `blocks.${i}.attn.proj`), gate1!));
    const up = each(of(modulated(h, shift2!, scale2!), `blocks.${i}.mlp.fc1`), geluTanh);
    h = plus(h, gated(of(up, `blocks.${i}.mlp.fc2`), gate2!));
  }
  const [shift, scale] = modulation("final_layer.adaLN_modulation.1") as [number[], number[]];
  const rows = of(modulated(h, shift, scale), "final_layer.linear");
  return Array.from({ length: channels * size * size }, (_, at) => {
    const [c, row, column] = [Math.floor(at / size ** 2), Math.floor(at / size) % size, at % size];
    const token = Math.floor(row / patch) * (size / patch) + Math.floor(column / patch);
    return rows[token]![((row % patch) * patch + (column % patch)) * outputs + c]!;
  });
}

test.each([true, false])(
  "DiT, learned variances %j: the imported run finds the noise as the architecture does in plain arrays",
  async (learnSigma) => {
    const outputs = learnSigma ? 2 * channels : channels;
    const weights = published(outputs);
    const from = publish(`dit-${outputs}`, { ...config, ...(!learnSigma && { learn_sigma: false }) }, weights);
    const out = join(folder, `run-dit-${outputs}`);
    const imported = await dblocks("import", from, "--out", out);
    expect([imported.code, imported.stdout]).toEqual([0, expect.stringMatching(/dit, end-to-end/)]);
    const run = await openTrainedRun(registry, out);
    expect(run.info).toMatchObject({ isLatent: true, channels, mean: [0, 0, 0, 0], std: new Array(4).fill(1 / 0.18215) });
    const { partition, estimates } = run.method as unknown as ImageGenerator;
    await using caller = createCaller(run.method, { device: await device("cpu"), values: await loadParameters(run), batchSize: 1 });
    const z = normals(key("z"), channels * size * size);
    // ᾱ_t of betas from 0.0001 to 0.02 in 1,000 steps.
    const kept = (t: number): number =>
      Array.from({ length: t + 1 }, (_, i) => 1 - (0.0001 + (i * 0.0199) / 999)).reduce((product, x) => product * x, 1);
    for (const [t, label] of [
      [0, 1],
      [437, 0],
      [999, classes], // the null class
    ] as const) {
      const sigma = Math.sqrt((1 - kept(t)) / kept(t));
      const noisy = z.map((x) => x * Math.sqrt(1 + sigma ** 2));
      const { denoised } = await caller.call(estimates[0]!, {
        z: noisy,
        labels: Int32Array.of(label),
        ...levelsAt(sigma, partition.noise, 1),
      });
      const noise = reference(weights, z, t, label, outputs);
      for (const [i, expected] of noise.entries()) {
        const found = (noisy[i]! - denoised[i]!) / sigma;
        // The noise is found again from z − σ ε, which float32 rounds at the size of z.
        const rounding = (2 ** -22 * Math.abs(noisy[i]!)) / sigma;
        expect(Math.abs(found - expected)).toBeLessThan(1e-4 + rounding);
      }
    }
    const exported = await dblocks("export", out, "--out", `${out}-onnx`, "--steps", "4");
    expect([exported.code, exported.stdout]).toEqual([0, expect.stringMatching(/network\.onnx[\s\S]*block-0\.onnx/)]);
  },
);

test("what does not fit DiT is named and refused", async () => {
  const refused = async (name: string, change: (weights: Weights) => void, own: object = {}): Promise<string> => {
    const weights = published(2 * channels);
    change(weights);
    const { code, stderr } = await dblocks("import", publish(name, { ...config, ...own }, weights), "--out", join(folder, `${name}-run`));
    expect(code).toBeGreaterThan(0);
    return stderr;
  };
  const name = "blocks.1.adaLN_modulation.1.bias";
  expect(await refused("a", (weights) => weights.delete(name))).toMatch(/there is no tensor blocks\.1\.adaLN_modulation\.1\.bias \[48\]/);
  const other = { name, dtype: "F32", shape: [16], data: new Float32Array(16) } as const;
  expect(await refused("b", (weights) => weights.set(name, other))).toMatch(/\[16\]; .* must be \[48\]/);
  const more = { name: "blocks.2.attn.qkv.bias", dtype: "F32", shape: [24], data: new Float32Array(24) } as const;
  expect(await refused("c", (weights) => weights.set(more.name, more))).toMatch(/1 tensors are unknown .*: blocks\.2\.attn\.qkv\.bias/);
  const moved = { ...published(8).get("pos_embed")!, data: new Float32Array(tokens * w) };
  expect(await refused("d", (weights) => weights.set("pos_embed", moved))).toMatch(
    /pos_embed holds 0 at number 2; .* fixed positions, 1 there/,
  );
  expect(await refused("e", () => {}, { learn_sigma: false })).toMatch(/final_layer\.linear\.weight is \[32,8\]; .* must be \[16,8\]/);
});
