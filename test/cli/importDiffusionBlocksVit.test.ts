import { join } from "node:path";
import { expect, test } from "vitest";
import { blockOfSigma, precondition, samplingLevels } from "../../src/diffusion/index.ts";
import { registry } from "../../src/index.ts";
import type { ClassDenoiser } from "../../src/inference/index.ts";
import { key, normals } from "../../src/random.ts";
import { loadParameters, openTrainedRun } from "../../src/runs/index.ts";
import { createCaller } from "../../src/train/index.ts";
import { dblocks, folder } from "../support/cli.ts";
import { device } from "../support/devices.ts";
import {
  attend,
  gelu,
  layerNorm,
  linear,
  type Matrix,
  patchesOf,
  plus,
  publish,
  rowsOf,
  silu,
  softmax,
  vectorOf,
  type Weights,
  weightsOf,
} from "../support/plainNetworks.ts";

const [w, mlp, heads, layers, blocks, size, patch, channels, cond, classes] = [12, 20, 2, 4, 2, 8, 4, 3, 2, 5];
// What ViTDiTConfig.save_pretrained writes, and num_blocks of the training module.
const config = {
  model_type: "vit",
  time_conditioning: true,
  cond_hidden_size: cond,
  pooling_type: "cls",
  num_blocks: blocks,
  hidden_size: w,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  intermediate_size: mlp,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  layer_norm_eps: 1e-12,
  image_size: size,
  patch_size: patch,
  num_channels: channels,
  qkv_bias: true,
  id2label: Object.fromEntries(Array.from({ length: classes }, (_, i) => [i, `LABEL_${i}`])),
};
const linearShapes = (name: string, out: number, ...inputs: readonly number[]): [string, readonly number[]][] => [
  [`${name}.weight`, [out, ...inputs]],
  [`${name}.bias`, [out]],
];
const normShapes = (name: string): [string, readonly number[]][] => [
  [`${name}.weight`, [w]],
  [`${name}.bias`, [w]],
];
const shapes = (root: string): Record<string, readonly number[]> =>
  Object.fromEntries([
    [`${root}vit.embeddings.position_embeddings`, [1, 5, w]],
    [`${root}vit.embeddings.label_embeddings.weight`, [classes, w]],
    ...linearShapes(`${root}vit.embeddings.patch_embeddings.projection`, w, channels, patch, patch),
    ...linearShapes(`${root}vit.time_embedder.mlp.0`, cond, 256),
    ...linearShapes(`${root}vit.time_embedder.mlp.2`, cond, cond),
    ...Array.from({ length: layers }, (_, i) => `${root}vit.encoder.layer.${i}`).flatMap((layer) => [
      ...["query", "key", "value"].flatMap((part) => linearShapes(`${layer}.attention.attention.${part}`, w, w)),
      ...linearShapes(`${layer}.attention.output.dense`, w, w),
      ...linearShapes(`${layer}.intermediate.dense`, mlp, w),
      ...linearShapes(`${layer}.output.dense`, w, mlp),
      ...normShapes(`${layer}.layernorm_before`),
      ...normShapes(`${layer}.layernorm_after`),
      ...linearShapes(`${layer}.adaLN_modulation.linear`, 6 * w, cond),
    ]),
    ...normShapes(`${root}vit.layernorm`),
    ...linearShapes(`${root}adaLN_modulation.linear`, 2 * w, cond),
    ...linearShapes(`${root}classifier`, classes, w),
    ...(root === "" ? [] : [["sigmas", [blocks]] as [string, readonly number[]]]),
  ] as [string, readonly number[]][]);

/** `denoise` of the released module: logits of one image and a noisy embedding z, by the layers of the block that owns sigma. */
function reference(weights: Weights, root: string, image: Float32Array, z: readonly number[], sigma: number, block: number): number[] {
  const m = (name: string): Matrix => rowsOf(weights.get(root + name)!);
  const v = (name: string): number[] => vectorOf(weights.get(root + name)!);
  const of = (x: Matrix, name: string): Matrix => linear(x, m(`${name}.weight`), v(`${name}.bias`));
  const norm = (x: Matrix, name: string): Matrix => layerNorm(x, v(`${name}.weight`), v(`${name}.bias`), 1e-12);
  const { cIn, cOut, cSkip, cNoise } = precondition(sigma, { sigmaData: 0.5 });
  const angles = Array.from({ length: 128 }, (_, k) => cNoise * Math.exp((-Math.log(10_000) * k) / 128));
  const sinusoid = [[...angles.map(Math.cos), ...angles.map(Math.sin)]];
  const embedded = of(
    of(sinusoid, "vit.time_embedder.mlp.0").map((row) => row.map(silu)),
    "vit.time_embedder.mlp.2",
  );
  const condition = embedded.map((row) => row.map(silu));
  const adaLN = (name: string): Matrix => {
    const all = of(condition, `${name}.linear`)[0]!.map(silu);
    return Array.from({ length: all.length / w }, (_, i) => all.slice(i * w, (i + 1) * w));
  };
  const modulate = (x: Matrix, shift: readonly number[], scale: readonly number[]): Matrix =>
    x.map((row) => row.map((value, i) => value * (1 + scale[i]!) + shift[i]!));
  const gated = (x: Matrix, gate: readonly number[]): Matrix => x.map((row) => row.map((value, i) => value * gate[i]!));
  const positions = v("vit.embeddings.position_embeddings");
  const tokens = of(patchesOf(image, { size, patch, channels }), "vit.embeddings.patch_embeddings.projection");
  let h = [z.map((x) => cIn * x), ...tokens].map((row, i) => row.map((x, j) => x + positions[i * w + j]!));
  for (let i = (block * layers) / blocks; i < ((block + 1) * layers) / blocks; i++) {
    const layer = `vit.encoder.layer.${i}`;
    const [shift1, scale1, gate1, shift2, scale2, gate2] = adaLN(`${layer}.adaLN_modulation`) as number[][];
    const x = modulate(norm(h, `${layer}.layernorm_before`), shift1!, scale1!);
    const [q, k, values] = ["query", "key", "value"].map((part) => of(x, `${layer}.attention.attention.${part}`)) as [
      Matrix,
      Matrix,
      Matrix,
    ];
    h = plus(h, gated(of(attend(q, k, values, heads, false), `${layer}.attention.output.dense`), gate1!));
    const up = of(modulate(norm(h, `${layer}.layernorm_after`), shift2!, scale2!), `${layer}.intermediate.dense`);
    h = plus(
      h,
      gated(
        of(
          up.map((row) => row.map(gelu)),
          `${layer}.output.dense`,
        ),
        gate2!,
      ),
    );
  }
  const features = norm(h, "vit.layernorm")[0]!;
  const mixed = features.map((x, i) => cOut * x + cSkip * z[i]!);
  const [shift, scale] = adaLN("adaLN_modulation") as [number[], number[]];
  return of(modulate([mixed], shift, scale), "classifier")[0]!;
}

test.each(["", "model."])(
  "the official ViT with the prefix %j: blocks and the reverse process answer as the released code does",
  async (root) => {
    const weights = weightsOf(shapes(root));
    // Rows of length 1: the released code normalises them in training, and not on the way down.
    const table = weights.get(`${root}vit.embeddings.label_embeddings.weight`)!;
    const rows = rowsOf(table).map((row) => row.map((x) => x / Math.hypot(...row)));
    weights.set(table.name, { ...table, data: Float32Array.from(rows.flat()) });
    const from = publish(`official-${root.length}`, config, weights);
    const out = join(folder, `run-official-${root.length}`);
    const imported = await dblocks("import", from, "--out", out);
    expect([imported.code, imported.stdout]).toEqual([0, expect.stringMatching(/vit, blocks/)]);

    const run = await openTrainedRun(registry, out);
    await using caller = createCaller(run.method, { device: await device("cpu"), values: await loadParameters(run), batchSize: 1 });
    const image = normals(key("image"), channels * size * size);
    const noise = normals(key("noise"), w);
    const { partition } = run.method as unknown as ClassDenoiser;
    const levels = samplingLevels({ grid: "equi-probability" }, partition);
    expect(levels.map((sigma) => blockOfSigma(partition, sigma))).toEqual([0, 1]);
    let z = Array.from(noise, (x) => x * Math.sqrt(1 + levels[0]! ** 2));
    let logits = reference(weights, root, image, z, levels[0]!, 0);
    const denoised = softmax(logits).reduce((sum, p, k) => sum.map((x, i) => x + p * rows[k]![i]!), Array(w).fill(0));
    z = z.map((x, i) => x + ((levels[1]! - levels[0]!) * (x - denoised[i]!)) / levels[0]!);
    logits = reference(weights, root, image, z, levels[1]!, 1);
    const answer = await caller.call((await run.method.exported!()).whole, { input: image, noise });
    for (const [i, value] of logits.entries()) expect(Math.abs(answer.logits![i]! - value)).toBeLessThan(1e-4);
  },
);

test("what does not fit the official ViT is named and refused", async () => {
  const refused = async (name: string, change: (weights: Weights) => void, own: object = {}): Promise<string> => {
    const weights = weightsOf(shapes(""));
    change(weights);
    const { code, stderr } = await dblocks("import", publish(name, { ...config, ...own }, weights), "--out", join(folder, `${name}-run`));
    expect(code).toBeGreaterThan(0);
    return stderr;
  };
  const name = "vit.encoder.layer.3.adaLN_modulation.linear.weight";
  expect(await refused("a", (weights) => weights.delete(name))).toMatch(
    /there is no tensor vit\.encoder\.layer\.3\.adaLN_modul.* \[72,2\]/,
  );
  const other = { name, dtype: "F32", shape: [2, 72], data: new Float32Array(144) } as const;
  expect(await refused("b", (weights) => weights.set(name, other))).toMatch(/\[2,72\]; .* must be \[72,2\]/);
  const more = { name: "vit.embeddings.cls_token", dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
  expect(await refused("c", (weights) => weights.set(more.name, more))).toMatch(/1 tensors are unknown .*: vit\.embeddings\.cls_token/);
  expect(await refused("d", () => {}, { num_blocks: undefined })).toMatch(/num_blocks is undefined; a whole number/);
  expect(await refused("e", () => {}, { num_blocks: 3 })).toMatch(/3 blocks do not divide 4 layers/);
  expect(await refused("f", () => {}, { pooling_type: "mean" })).toMatch(/pooling_type is "mean"; .* "cls" alone/);
});
