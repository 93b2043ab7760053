import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type NamedArray, writeSafetensors } from "../../src/formats/index.ts";
import { registry } from "../../src/index.ts";
import { key, normals } from "../../src/random.ts";
import { evaluationData, loadParameters, loadRun, openTrainedRun } from "../../src/runs/index.ts";
import { createCaller } from "../../src/train/index.ts";
import { dblocks, folder, png, train } from "../support/cli.ts";
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
  rmsNorm,
  rowsOf,
  softmax,
  vectorOf,
  type Weights,
  weightsOf,
  wordLevelTokenizer,
} from "../support/plainNetworks.ts";

describe("vision transformers", () => {
  const [w, mlp, heads, layers, size, patch, channels] = [8, 12, 2, 2, 8, 4, 3];
  const config = (type: string) => ({
    model_type: type,
    hidden_size: w,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: mlp,
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    image_size: size,
    patch_size: patch,
    num_channels: channels,
    id2label: { 0: "cat", 1: "dog", 2: "fox" },
  });
  const shapes = (root: string): Record<string, readonly number[]> => ({
    [`${root}.embeddings.cls_token`]: [1, 1, w],
    ...(root === "deit" && { [`${root}.embeddings.distillation_token`]: [1, 1, w] }),
    [`${root}.embeddings.position_embeddings`]: [1, root === "deit" ? 6 : 5, w],
    [`${root}.embeddings.patch_embeddings.projection.weight`]: [w, channels, patch, patch],
    [`${root}.embeddings.patch_embeddings.projection.bias`]: [w],
    ...Object.fromEntries(
      Array.from({ length: layers }, (_, i) => `${root}.encoder.layer.${i}`).flatMap((layer): [string, readonly number[]][] => [
        ...["query", "key", "value"].flatMap((part): [string, readonly number[]][] => [
          [`${layer}.attention.attention.${part}.weight`, [w, w]],
          [`${layer}.attention.attention.${part}.bias`, [w]],
        ]),
        [`${layer}.attention.output.dense.weight`, [w, w]],
        [`${layer}.attention.output.dense.bias`, [w]],
        [`${layer}.intermediate.dense.weight`, [mlp, w]],
        [`${layer}.intermediate.dense.bias`, [mlp]],
        [`${layer}.output.dense.weight`, [w, mlp]],
        [`${layer}.output.dense.bias`, [w]],
        ...["layernorm_before", "layernorm_after"].flatMap((norm): [string, readonly number[]][] => [
          [`${layer}.${norm}.weight`, [w]],
          [`${layer}.${norm}.bias`, [w]],
        ]),
      ]),
    ),
    [`${root}.layernorm.weight`]: [w],
    [`${root}.layernorm.bias`]: [w],
    "classifier.weight": [3, w],
    "classifier.bias": [3],
  });

  /** Logits of one image [channels · size · size]. */
  function reference(weights: Weights, root: string, image: Float32Array): number[] {
    const m = (name: string): Matrix => rowsOf(weights.get(name)!);
    const v = (name: string): number[] => vectorOf(weights.get(name)!);
    const patches = patchesOf(image, { size, patch, channels });
    const at = `${root}.embeddings`;
    const tokens = linear(patches, m(`${at}.patch_embeddings.projection.weight`), v(`${at}.patch_embeddings.projection.bias`));
    const lead = [v(`${at}.cls_token`), ...(root === "deit" ? [v(`${at}.distillation_token`)] : [])];
    const positions = v(`${at}.position_embeddings`);
    let h = [...lead, ...tokens].map((row, i) => row.map((x, j) => x + positions[i * w + j]!));
    for (let i = 0; i < layers; i++) {
      const layer = `${root}.encoder.layer.${i}`;
      const of = (x: Matrix, name: string): Matrix => linear(x, m(`${layer}.${name}.weight`), v(`${layer}.${name}.bias`));
      const norm = (x: Matrix, name: string): Matrix => layerNorm(x, v(`${layer}.${name}.weight`), v(`${layer}.${name}.bias`), 1e-12);
      const x = norm(h, "layernorm_before");
      const [q, k, values] = ["query", "key", "value"].map((part) => of(x, `attention.attention.${part}`)) as [Matrix, Matrix, Matrix];
      h = plus(h, of(attend(q, k, values, heads, false), "attention.output.dense"));
      const up = of(norm(h, "layernorm_after"), "intermediate.dense").map((row) => row.map(gelu));
      h = plus(h, of(up, "output.dense"));
    }
    const out = layerNorm(h, v(`${root}.layernorm.weight`), v(`${root}.layernorm.bias`), 1e-12);
    return linear(out.slice(0, 1), m("classifier.weight"), v("classifier.bias"))[0]!;
  }

  test.each(["vit", "deit"])("%s: the imported run answers as the architecture does in plain arrays", async (type) => {
    const weights = weightsOf(shapes(type));
    const preprocessor = JSON.stringify({ image_mean: [0.4, 0.5, 0.6], image_std: [0.2, 0.3, 0.4] });
    const from = publish(`hf-${type}`, config(type), weights, { "preprocessor_config.json": preprocessor });
    const out = join(folder, `run-${type}`);
    expect((await dblocks("import", from, "--out", out)).stdout).toMatch(/vit, end-to-end, 0.00\d+ million parameters/);
    await using model = await loadRun<never>(out);
    const { predict, info } = model as unknown as { predict(x: Float32Array): Promise<{ probabilities: Float32Array }>; info: object };
    expect(info).toMatchObject({ classNames: ["cat", "dog", "fox"], mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] });
    // Other images are evaluated in the network's normalisation, not in their own.
    for (const part of ["train", "test"])
      for (const name of ["cat", "dog", "fox"]) {
        mkdirSync(join(folder, "animals", part, name), { recursive: true });
        writeFileSync(join(folder, "animals", part, name, "0.png"), png(size, 90));
      }
    const data = await evaluationData(await openTrainedRun(registry, out), join(folder, "animals"));
    expect(data).toMatchObject({ mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] });
    const image = normals(key("image"), channels * size * size).map((x) => Math.abs(x) % 1);
    const normalised = image.map((x, i) => {
      const c = Math.floor(i / size ** 2);
      return (x - [0.4, 0.5, 0.6][c]!) / [0.2, 0.3, 0.4][c]!;
    });
    const expected = softmax(reference(weights, type, normalised));
    const { probabilities } = await predict(image);
    for (const [i, p] of expected.entries()) expect(Math.abs(probabilities[i]! - p)).toBeLessThan(1e-5);
  });

  test("unknown, missing and misshapen tensors and other architectures are named and refused", async () => {
    const refused = async (name: string, change: (weights: Weights) => void, own: object = {}): Promise<string> => {
      const weights = weightsOf(shapes("vit"));
      change(weights);
      const { code, stderr } = await dblocks(
        "import",
        publish(name, { ...config("vit"), ...own }, weights),
        "--out",
        join(folder, `${name}-run`),
      );
      expect(code).toBeGreaterThan(0);
      return stderr;
    };
    const bias = "vit.layernorm.bias";
    expect(await refused("a", (weights) => weights.delete(bias))).toMatch(/there is no tensor vit\.layernorm\.bias \[8\]/);
    const wide = { name: bias, dtype: "F32", shape: [9], data: new Float32Array(9) } as const;
    expect(await refused("b", (weights) => weights.set(bias, wide))).toMatch(/vit\.layernorm\.bias is \[9\]; .* must be \[8\]/);
    const more = { ...wide, name: "vit.pooler.dense.bias" } as const;
    expect(await refused("c", (weights) => weights.set(more.name, more))).toMatch(/1 tensors are unknown .*: vit\.pooler\.dense\.bias/);
    expect(await refused("d", () => {}, { model_type: "swin" })).toMatch(/"swin" is not known; known are vit, deit, gpt2, llama/);
    expect(await refused("e", () => {}, { hidden_act: "relu" })).toMatch(/hidden_act is "relu"; .* "gelu" alone/);
    expect((await dblocks("import", join(folder, "nowhere"), "--out", join(folder, "f"))).stderr).toMatch(/config\.json cannot be read/);
  });
});

describe("Llama", () => {
  const [w, hidden, heads, keyHeads, layers, vocabSize] = [8, 12, 4, 2, 2, 7];
  const config = {
    model_type: "llama",
    hidden_size: w,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    intermediate_size: hidden,
    hidden_act: "silu",
    rms_norm_eps: 1e-5,
    rope_theta: 5000,
    vocab_size: vocabSize,
    max_position_embeddings: 16,
    bos_token_id: 1,
  };
  const keyWidth = (w / heads) * keyHeads;
  const shapes: Record<string, readonly number[]> = {
    "model.embed_tokens.weight": [vocabSize, w],
    ...Object.fromEntries(
      Array.from({ length: layers }, (_, i) => `model.layers.${i}`).flatMap((layer): [string, readonly number[]][] => [
        [`${layer}.self_attn.q_proj.weight`, [w, w]],
        [`${layer}.self_attn.k_proj.weight`, [keyWidth, w]],
        [`${layer}.self_attn.v_proj.weight`, [keyWidth, w]],
        [`${layer}.self_attn.o_proj.weight`, [w, w]],
        [`${layer}.mlp.gate_proj.weight`, [hidden, w]],
        [`${layer}.mlp.up_proj.weight`, [hidden, w]],
        [`${layer}.mlp.down_proj.weight`, [w, hidden]],
        [`${layer}.input_layernorm.weight`, [w]],
        [`${layer}.post_attention_layernorm.weight`, [w]],
      ]),
    ),
    "model.norm.weight": [w],
    "lm_head.weight": [vocabSize, w],
  };
  const tokenizer = wordLevelTokenizer(vocabSize);

  /** Logits of each token of a text, from those before it. */
  function reference(weights: Weights, tokens: readonly number[]): Matrix {
    const m = (name: string): Matrix => rowsOf(weights.get(name)!);
    const v = (name: string): number[] => vectorOf(weights.get(name)!);
    const turn = (x: Matrix): Matrix =>
      x.map((row, position) => {
        const half = w / heads / 2;
        return row.map((value, at) => {
          const [inHead, head] = [at % (2 * half), Math.floor(at / (2 * half)) * 2 * half];
          const k = inHead % half;
          const angle = position * 5000 ** (-k / half);
          const other = inHead < half ? -row[head + inHead + half]! : row[head + inHead - half]!;
          return value * Math.cos(angle) + other * Math.sin(angle);
        });
      });
    const table = m("model.embed_tokens.weight");
    let h = [1, ...tokens.slice(0, -1)].map((token) => [...table[token]!]);
    for (let i = 0; i < layers; i++) {
      const layer = `model.layers.${i}`;
      const x = rmsNorm(h, v(`${layer}.input_layernorm.weight`), 1e-5);
      const [q, k, values] = ["q", "k", "v"].map((part) => linear(x, m(`${layer}.self_attn.${part}_proj.weight`))) as [
        Matrix,
        Matrix,
        Matrix,
      ];
      h = plus(h, linear(attend(turn(q), turn(k), values, heads, true), m(`${layer}.self_attn.o_proj.weight`)));
      const y = rmsNorm(h, v(`${layer}.post_attention_layernorm.weight`), 1e-5);
      const up = linear(y, m(`${layer}.mlp.up_proj.weight`));
      const gate = linear(y, m(`${layer}.mlp.gate_proj.weight`));
      const mixed = up.map((row, r) => row.map((u, c) => u * (gate[r]![c]! / (1 + Math.exp(-gate[r]![c]!)))));
      h = plus(h, linear(mixed, m(`${layer}.mlp.down_proj.weight`)));
    }
    return linear(rmsNorm(h, v("model.norm.weight"), 1e-5), m("lm_head.weight"));
  }

  async function logitsOf(out: string, tokens: readonly number[]): Promise<Float32Array> {
    const run = await openTrainedRun(registry, out);
    await using caller = createCaller(run.method, { device: await device("cpu"), values: await loadParameters(run), batchSize: 1 });
    const { whole } = await run.method.exported!();
    return (await caller.call(whole, { tokens: Int32Array.from(tokens) })).logits!;
  }

  const tokens = [3, 5, 0, 6, 2, 2, 4, 1, 3, 3, 0, 5, 6, 1, 2, 4];
  const check = async (out: string, weights: Weights): Promise<void> => {
    const logits = await logitsOf(out, tokens);
    for (const [i, row] of reference(weights, tokens).entries())
      for (const [k, value] of row.entries()) expect(Math.abs(logits[i * vocabSize + k]! - value)).toBeLessThan(1e-4);
  };

  test("the imported run has the logits of the architecture in plain arrays", async () => {
    const weights = weightsOf(shapes);
    const from = publish("hf-llama", config, weights, { "tokenizer.json": tokenizer });
    const out = join(folder, "run-llama");
    expect((await dblocks("import", from, "--out", out)).stderr).toBe("");
    await check(out, weights);
    const sampled = await dblocks("sample", out, "--count", "1", "--tokens", "3", "--prompt", "t3 t5");
    expect([sampled.code, sampled.stdout]).toEqual([0, expect.stringMatching(/^t3 t5( t\d)+/)]);
  });

  test("shards of half precision, with tied embeddings", async () => {
    const { "lm_head.weight": _, ...untied } = shapes;
    const half = (weights: Weights, mask: number): Weights =>
      new Map(
        [...weights].map(([name, tensor]) => {
          const bits = new Uint32Array(Float32Array.from(tensor.data as Float32Array).buffer).map((x) => x & mask);
          return [name, { ...tensor, data: new Float32Array(bits.buffer) }];
        }),
      );
    const weights = half(weightsOf(untied), 0xff_ff_00_00); // what bfloat16 holds
    const from = join(folder, "hf-shards");
    mkdirSync(from, { recursive: true });
    const asBfloat = ({ data, ...spec }: NamedArray): NamedArray => ({
      ...spec,
      dtype: "BF16",
      data: Uint16Array.from(new Uint32Array((data as Float32Array).buffer), (x) => x >>> 16),
    });
    const names = [...weights.keys()];
    const files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const partOf = (name: string): number => (names.indexOf(name) < 9 ? 0 : 1);
    for (const [part, file] of files.entries()) {
      const own = names.filter((name) => partOf(name) === part).map((name) => asBfloat(weights.get(name)!));
      writeFileSync(join(from, file), writeSafetensors(own));
    }
    const index = { metadata: {}, weight_map: Object.fromEntries(names.map((name) => [name, files[partOf(name)]])) };
    writeFileSync(join(from, "model.safetensors.index.json"), JSON.stringify(index));
    writeFileSync(join(from, "config.json"), JSON.stringify({ ...config, tie_word_embeddings: true }));
    writeFileSync(join(from, "tokenizer.json"), tokenizer);
    const out = join(folder, "run-shards");
    expect((await dblocks("import", from, "--out", out)).stderr).toBe("");
    await check(out, new Map([...weights, ["lm_head.weight", weights.get("model.embed_tokens.weight")!]]));
    const outside = { ...index, weight_map: { ...index.weight_map, "model.norm.weight": "../hf-llama/model.safetensors" } };
    writeFileSync(join(from, "model.safetensors.index.json"), JSON.stringify(outside));
    expect((await dblocks("import", from, "--out", `${out}-2`)).stderr).toMatch(/a file beside the index is expected/);
  });
});

test("a run that is exported, as safetensors or as ONNX, and imported again is the same bit for bit, and goes on learning", async () => {
  expect((await train("whole", "--max-steps", "2")).code).toBe(0);
  const [run, files, again, files2] = ["whole", "whole-files", "whole-again", "whole-files-2"].map((name) => join(folder, name));
  const exported = (from: string, to: string) => dblocks("export", from, "--format", "safetensors", "--out", to);
  expect((await exported(run!, files!)).code).toBe(0);
  expect((await dblocks("import", files!, "--out", again!)).stdout).toMatch(/vit, blocks/);
  expect((await exported(again!, files2!)).code).toBe(0);
  const bytes = (path: string): Buffer => readFileSync(join(path, "model.safetensors"));
  expect(bytes(files2!).equals(bytes(files!))).toBe(true);
  expect((await dblocks("import", files!, "--out", again!)).stderr).toMatch(/holds a run already/);
  // The ONNX files hold the same numbers.
  const [onnx, third, files3] = ["whole-onnx", "whole-third", "whole-files-3"].map((name) => join(folder, name));
  expect((await dblocks("export", run!, "--out", onnx!)).code).toBe(0);
  expect((await dblocks("import", onnx!, "--out", third!)).stdout).toMatch(/vit, blocks/);
  expect((await exported(third!, files3!)).code).toBe(0);
  expect(bytes(files3!).equals(bytes(files!))).toBe(true);
  expect((await train("whole-again", "--max-steps", "2")).code).toBe(0);
  const verified = await dblocks("verify", again!);
  expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/ok/)]);
});
