#!/usr/bin/env node
// Import of networks of published sizes: random weights under the published names, time and peak of resident memory, the size of the run.
//   node bench/importing.mjs [--only gpt2|dit] [--out FOLDER]
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { registry } from "../dist/index.js";
import { sinCosPositions } from "../dist/nn/index.js";
import { importRun } from "../dist/node.js";

const { values } = parseArgs({
  options: { only: { type: "string" }, out: { type: "string", default: "runs/importing" }, worker: { type: "string" } },
});

const linear = (name, outputs, ...inputs) => [
  [`${name}.weight`, [outputs, ...inputs]],
  [`${name}.bias`, [outputs]],
];
const turned = (name, inputs, outputs) => [
  [`${name}.weight`, [inputs, outputs]],
  [`${name}.bias`, [outputs]],
];
const range = (count) => Array.from({ length: count }, (_, i) => i);

const networks = {
  gpt2: {
    config: { model_type: "gpt2", n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024, vocab_size: 50_257, bos_token_id: 50_256 },
    shapes: [
      ["wte.weight", [50_257, 768]],
      ["wpe.weight", [1024, 768]],
      ...range(12).flatMap((i) => [
        ...linear(`h.${i}.ln_1`, 768),
        ...turned(`h.${i}.attn.c_attn`, 768, 2304),
        ...turned(`h.${i}.attn.c_proj`, 768, 768),
        ...linear(`h.${i}.ln_2`, 768),
        ...turned(`h.${i}.mlp.c_fc`, 768, 3072),
        ...turned(`h.${i}.mlp.c_proj`, 3072, 768),
      ]),
      ...linear("ln_f", 768),
    ],
    files: {
      "tokenizer.json": JSON.stringify({
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: { type: "Whitespace" },
        post_processor: null,
        decoder: null,
        model: { type: "WordLevel", vocab: Object.fromEntries(range(50_257).map((i) => [`t${i}`, i])), unk_token: "t0" },
      }),
    },
  },
  dit: {
    config: { model_type: "DiT", input_size: 32, patch_size: 2, in_channels: 4, hidden_size: 1152, depth: 28, num_heads: 16, num_classes: 1000 },
    shapes: [
      ["pos_embed", [1, 256, 1152]],
      ...linear("x_embedder.proj", 1152, 4, 2, 2),
      ...linear("t_embedder.mlp.0", 1152, 256),
      ...linear("t_embedder.mlp.2", 1152, 1152),
      ["y_embedder.embedding_table.weight", [1001, 1152]],
      ...range(28).flatMap((i) => [
        ...linear(`blocks.${i}.attn.qkv`, 3456, 1152),
        ...linear(`blocks.${i}.attn.proj`, 1152, 1152),
        ...linear(`blocks.${i}.mlp.fc1`, 4608, 1152),
        ...linear(`blocks.${i}.mlp.fc2`, 1152, 4608),
        ...linear(`blocks.${i}.adaLN_modulation.1`, 6912, 1152),
      ]),
      ...linear("final_layer.linear", 32, 1152),
      ...linear("final_layer.adaLN_modulation.1", 2304, 1152),
    ],
    files: {},
  },
};

let state = 1;

if (values.worker !== undefined) await work(values.worker);
else main();

function main() {
  console.log("| network | tensors | file GB | seconds | peak GB | run GB |\n|---|---|---|---|---|---|");
  for (const [name, network] of Object.entries(networks)) {
    if (values.only !== undefined && values.only !== name) continue;
    const folder = join(values.out, name);
    const bytes = publish(folder, name, network);
    const worker = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--worker", name, "--out", values.out], { encoding: "utf8" });
    if (worker.status !== 0) throw new Error(worker.stderr);
    const { seconds, peak, run } = JSON.parse(worker.stdout);
    const figures = [network.shapes.length, gigabytes(bytes), seconds.toFixed(0), gigabytes(peak), gigabytes(run)];
    console.log(`| ${name} | ${figures.join(" | ")} |`);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function work(name) {
  const out = join(values.out, `${name}-run`);
  rmSync(out, { recursive: true, force: true });
  const started = performance.now();
  const { config } = await importRun({ registry, from: join(values.out, name), out });
  const seconds = (performance.now() - started) / 1000;
  const unit = config.model.name === "dit" ? "block-0" : "network";
  const run = statSync(join(out, unit, "step-000000.safetensors")).size;
  rmSync(out, { recursive: true, force: true });
  console.log(JSON.stringify({ seconds, peak: process.resourceUsage().maxRSS * 1024, run }));
}

/** Writes the network, tensor by tensor. @returns the size of its weights. */
function publish(folder, name, { config, shapes, files }) {
  mkdirSync(folder, { recursive: true });
  for (const [file, content] of Object.entries({ ...files, "config.json": JSON.stringify(config) })) writeFileSync(join(folder, file), content);
  const sizeOf = (shape) => shape.reduce((product, dimension) => product * dimension, 1);
  let end = 0;
  const header = Object.fromEntries(
    shapes.map(([tensor, shape]) => [tensor, { dtype: "F32", shape, data_offsets: [end, (end += 4 * sizeOf(shape))] }]),
  );
  const text = Buffer.from(JSON.stringify(header).padEnd(8 * Math.ceil(JSON.stringify(header).length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(folder, "model.safetensors"), "w");
  for (const bytes of [length, text]) writeSync(file, bytes);
  for (const [tensor, shape] of shapes) writeSync(file, Buffer.from(numbersOf(name, tensor, shape).buffer));
  closeSync(file);
  return 8 + text.length + end;
}

function numbersOf(name, tensor, shape) {
  if (name === "dit" && tensor === "pos_embed") return sinCosPositions(16, 1152).source.data.slice();
  const numbers = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
  for (let i = 0; i < numbers.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    numbers[i] = 0.07 * (state / 2 ** 32 - 0.5);
  }
  return numbers;
}

function gigabytes(bytes) {
  return (bytes / 1e9).toFixed(2);
}
