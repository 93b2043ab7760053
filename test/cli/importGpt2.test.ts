import { join } from "node:path";
import { expect, test } from "vitest";
import { registry } from "../../src/index.ts";
import { loadParameters, openTrainedRun, startFinetuning } from "../../src/runs/index.ts";
import { createCaller } from "../../src/train/index.ts";
import { dblocks, folder } from "../support/cli.ts";
import { device } from "../support/devices.ts";
import {
  attend,
  layerNorm,
  linear,
  type Matrix,
  plus,
  publish,
  rowsOf,
  vectorOf,
  type Weights,
  weightsOf,
  wordLevelTokenizer,
} from "../support/plainNetworks.ts";

const [w, heads, layers, vocabSize, positions] = [8, 2, 2, 7, 16];
const config = {
  model_type: "gpt2",
  n_embd: w,
  n_layer: layers,
  n_head: heads,
  n_positions: positions,
  vocab_size: vocabSize,
  activation_function: "gelu_new",
  layer_norm_epsilon: 1e-5,
  bos_token_id: 6,
  scale_attn_weights: true,
};
const shapes = (root: string): Record<string, readonly number[]> => ({
  [`${root}wte.weight`]: [vocabSize, w],
  [`${root}wpe.weight`]: [positions, w],
  ...Object.fromEntries(
    Array.from({ length: layers }, (_, i) => `${root}h.${i}`).flatMap((layer): [string, readonly number[]][] => [
      [`${layer}.attn.bias`, [1, 1, positions, positions]], // the causal mask, which published files hold
      [`${layer}.ln_1.weight`, [w]],
      [`${layer}.ln_1.bias`, [w]],
      [`${layer}.attn.c_attn.weight`, [w, 3 * w]],
      [`${layer}.attn.c_attn.bias`, [3 * w]],
      [`${layer}.attn.c_proj.weight`, [w, w]],
      [`${layer}.attn.c_proj.bias`, [w]],
      [`${layer}.ln_2.weight`, [w]],
      [`${layer}.ln_2.bias`, [w]],
      [`${layer}.mlp.c_fc.weight`, [w, 4 * w]],
      [`${layer}.mlp.c_fc.bias`, [4 * w]],
      [`${layer}.mlp.c_proj.weight`, [4 * w, w]],
      [`${layer}.mlp.c_proj.bias`, [w]],
    ]),
  ),
  [`${root}ln_f.weight`]: [w],
  [`${root}ln_f.bias`]: [w],
});

/** Logits of each token of a text, from those before it. */
function reference(weights: Weights, root: string, tokens: readonly number[]): Matrix {
  const m = (name: string): Matrix => rowsOf(weights.get(root + name)!);
  const v = (name: string): number[] => vectorOf(weights.get(root + name)!);
  const transposed = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));
  const conv1d = (x: Matrix, name: string): Matrix => linear(x, transposed(m(`${name}.weight`)), v(`${name}.bias`));
  const norm = (x: Matrix, name: string): Matrix => layerNorm(x, v(`${name}.weight`), v(`${name}.bias`), 1e-5);
  const geluNew = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const [table, places] = [m("wte.weight"), m("wpe.weight")];
  let h = [6, ...tokens.slice(0, -1)].map((token, i) => table[token]!.map((x, j) => x + places[i]![j]!));
  for (let i = 0; i < layers; i++) {
    const qkv = conv1d(norm(h, `h.${i}.ln_1`), `h.${i}.attn.c_attn`);
    const [q, k, values] = [0, 1, 2].map((part) => qkv.map((row) => row.slice(part * w, (part + 1) * w))) as [Matrix, Matrix, Matrix];
    h = plus(h, conv1d(attend(q, k, values, heads, true), `h.${i}.attn.c_proj`));
    const up = conv1d(norm(h, `h.${i}.ln_2`), `h.${i}.mlp.c_fc`).map((row) => row.map(geluNew));
    h = plus(h, conv1d(up, `h.${i}.mlp.c_proj`));
  }
  return linear(norm(h, "ln_f"), table);
}

const tokens = [3, 5, 0, 6, 2, 2, 4, 1, 3, 3, 0, 5, 6, 1, 2, 4];
async function logitsOf(out: string, length: number): Promise<Float32Array> {
  const run = await openTrainedRun(registry, out);
  await using caller = createCaller(run.method, { device: await device("cpu"), values: await loadParameters(run), batchSize: 1 });
  return (await caller.call((await run.method.exported!()).whole, { tokens: Int32Array.from(tokens.slice(0, length)) })).logits!;
}

test.each([
  ["", positions],
  ["transformer.", 10],
])("GPT-2 with the prefix %j: the imported run has the logits of the architecture in plain arrays", async (root, length) => {
  const weights = weightsOf(shapes(root));
  const from = publish(`hf-gpt2-${length}`, config, weights, { "tokenizer.json": wordLevelTokenizer(vocabSize) });
  const out = join(folder, `run-gpt2-${length}`);
  const imported = await dblocks("import", from, "--out", out, ...(length < positions ? ["--length", String(length)] : []));
  expect([imported.code, imported.stderr]).toEqual([0, ""]);
  const logits = await logitsOf(out, length);
  for (const [i, row] of reference(weights, root, tokens.slice(0, length)).entries())
    for (const [k, value] of row.entries()) expect(Math.abs(logits[i * vocabSize + k]! - value)).toBeLessThan(1e-4);
  // Generation reads token by token behind a cache: the export compares it with the whole sequence.
  const exported = await dblocks("export", out, "--format", "onnx", "--out", `${out}-onnx`);
  expect([exported.code, exported.stderr]).toEqual([0, expect.not.stringMatching(/differs/)]);

  const data = publish(`text-${length}`, {}, weightsOf({ a: [1] }), { "text.txt": "t1 t2 t3 t4 ".repeat(300) });
  const blocks = `${out}-blocks`;
  const overrides = { data: { tokenizer: join(from, "tokenizer.json") } };
  await startFinetuning({ registry, from: out, path: blocks, dataPath: join(data, "text.txt"), numBlocks: 2, overrides });
  for (const [i, value] of (await logitsOf(blocks, length)).entries()) expect(Math.abs(logits[i]! - value)).toBeLessThan(1e-4);
});

test("what does not fit GPT-2 is named and refused", async () => {
  const refused = async (name: string, change: (weights: Weights) => void, own: object = {}, ...words: string[]): Promise<string> => {
    const weights = weightsOf(shapes(""));
    change(weights);
    const from = publish(name, { ...config, ...own }, weights, { "tokenizer.json": wordLevelTokenizer(vocabSize) });
    const { code, stderr } = await dblocks("import", from, "--out", join(folder, `${name}-run`), ...words);
    expect(code).toBeGreaterThan(0);
    return stderr;
  };
  const name = "h.1.attn.c_attn.weight";
  expect(await refused("a", (weights) => weights.delete(name))).toMatch(/there is no tensor h\.1\.attn\.c_attn\.weight \[8,24\]/);
  const turned = { name, dtype: "F32", shape: [24, 8], data: new Float32Array(192) } as const;
  expect(await refused("b", (weights) => weights.set(name, turned))).toMatch(/c_attn\.weight is \[24,8\]; .* must be \[8,24\]/);
  const more = { name: "h.0.attn.rotary.bias", dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
  expect(await refused("c", (weights) => weights.set(more.name, more))).toMatch(/1 tensors are unknown .*: h\.0\.attn\.rotary\.bias/);
  expect(await refused("d", () => {}, { activation_function: "relu" })).toMatch(/activation_function is "relu"; .* "gelu_new"/);
  expect(await refused("e", () => {}, {}, "--length", "17")).toMatch(/learned 16 positions/);
  expect(await refused("f", () => {}, { bos_token_id: 7 })).toMatch(/bos_token_id is 7/);
});
