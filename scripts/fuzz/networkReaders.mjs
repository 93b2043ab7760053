import { buildMethod, parseRunConfig, resolveConfig } from "../../dist/define/index.js";
import { layoutOf } from "../../dist/exchange/layouts/index.js";
import { PublishedWeights } from "../../dist/exchange/publishedWeights.js";
import { writeSafetensors } from "../../dist/formats/index.js";
import { importNetwork, registry, safetensorsFiles } from "../../dist/index.js";
import { sinCosPositions } from "../../dist/nn/index.js";

// Readers of networks: config.json or the weights of a published layout, and of a run that was exported.

const labels = { 0: "cat", 1: "dog" };
const vit = {
  hidden_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 8,
  image_size: 4,
  patch_size: 2,
  num_channels: 3,
  id2label: labels,
};
const configs = {
  vit: { model_type: "vit", ...vit },
  deit: { model_type: "deit", ...vit },
  gpt2: { model_type: "gpt2", n_embd: 4, n_layer: 2, n_head: 2, n_positions: 8, vocab_size: 5, bos_token_id: 4 },
  llama: {
    model_type: "llama",
    hidden_size: 4,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    intermediate_size: 6,
    vocab_size: 5,
    max_position_embeddings: 8,
    bos_token_id: 1,
    tie_word_embeddings: true,
  },
  dit: { model_type: "DiT", input_size: 4, patch_size: 2, in_channels: 4, hidden_size: 8, depth: 2, num_heads: 2, num_classes: 2 },
  "official vit": { model_type: "vit", time_conditioning: true, num_blocks: 2, cond_hidden_size: 2, ...vit },
};

/** Tells the tensors that a layout asks for. */
class Asked extends PublishedWeights {
  shapes = new Map();

  take(name, ...shape) {
    this.shapes.set(name, shape);
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (name === "pos_embed") return sinCosPositions(Math.sqrt(shape[1]), shape[2]).source.data;
    return new Float32Array(size).fill(0.1);
  }
}

function weightsOf(config) {
  const asked = new Asked(new Map(), "asked");
  layoutOf(config).read(config, asked, {});
  const tensors = [...asked.shapes].map(([name, shape]) => ({ name, dtype: "F32", shape, data: asked.take(name, ...shape) }));
  return Buffer.from(writeSafetensors(tensors));
}

const json = (value) => Buffer.from(JSON.stringify(value));
const tokenizer = json({
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: { type: "WordLevel", vocab: { a: 0, b: 1, c: 2, d: 3, e: 4 }, unk_token: "a" },
});

/** Reads files of which one is mutated. */
const among = (files, name) => async (bytes) => {
  const all = { ...files, [name]: bytes };
  await importNetwork({ registry, files: { name: "net", path: "net", read: async (own) => all[own] } });
};

const published = Object.entries(configs).flatMap(([name, config]) => {
  const files = { "config.json": json(config), "model.safetensors": weightsOf(config), "tokenizer.json": tokenizer };
  return [
    [`${name} config`, { seeds: async () => [files["config.json"]], isText: true, read: among(files, "config.json") }],
    [`${name} weights`, { seeds: async () => [files["model.safetensors"]], isText: true, read: among(files, "model.safetensors") }],
  ];
});

function exported() {
  const config = parseRunConfig(registry, [
    { model: { name: "vit", width: 6, numLayers: 2, numHeads: 2, mlpWidth: 8 }, method: { name: "blocks", numBlocks: 2 } },
  ]);
  const info = {
    name: "images",
    channels: 1,
    height: 8,
    width: 8,
    numClasses: 2,
    classNames: ["a", "b"],
    isLatent: false,
    mean: [0],
    std: [1],
  };
  const { task } = resolveConfig(registry, config);
  const method = buildMethod(registry, config, task.shapeOf(info, config.data));
  const shapes = new Map(method.units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const values = (path) => new Float32Array(shapes.get(path).shape.reduce((a, b) => a * b, 1)).fill(0.1);
  return Object.fromEntries(
    safetensorsFiles({ config, info, method }, { values, version: "fuzz" }).map(({ name, bytes }) => [name, Buffer.from(bytes)]),
  );
}

const own = exported();
const ownReaders = ["config.json", "data.json", "model.safetensors"].map((name) => [
  `exported ${name}`,
  { seeds: async () => [own[name]], isText: true, read: among(own, name) },
]);

export const networkReaders = Object.fromEntries([...published, ...ownReaders]);
