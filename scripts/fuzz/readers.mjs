import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode as encodePng } from "fast-png";
import jpeg from "jpeg-js";
import { packTar } from "modern-tar";
import { tokenizerFromJson } from "../../dist/data/index.js";
import { parseRunConfig } from "../../dist/define/index.js";
import { edmNoise, partition, partitionFromJSON, partitionToJSON } from "../../dist/diffusion/index.js";
import { openFeatures } from "../../dist/eval/index.js";
import { decodeCheckpoint } from "../../dist/formats/checkpointFile.js";
import { crc32c } from "../../dist/formats/crc32c.js";
import {
  asFloat32,
  asFloat64,
  asInt,
  decodeEvents,
  encodeEvent,
  encodeEventFileStart,
  parseStrictJson,
  readSafetensors,
  writeSafetensors,
} from "../../dist/formats/index.js";
import { parseMetrics } from "../../dist/formats/metricLines.js";
import { registry } from "../../dist/index.js";
import { decodeModel, encodeModel } from "../../dist/onnx/index.js";
import { CheckpointStore } from "../../dist/run/checkpoint.js";
import { configHash } from "../../dist/run/index.js";
import { readDecoded, writeDecoded } from "../../dist/sources/archiveCache.js";
import { decodeImage } from "../../dist/sources/decodeImage.js";
import { loadImages, loadText } from "../../dist/sources/index.js";
import { createProgram, input, reduceMean } from "../../dist/tensor/index.js";
import { arrayReaders } from "./arrayReaders.mjs";
import { networkReaders } from "./networkReaders.mjs";

// Every reader of files as a value: files that it reads, how checksums are repaired, and the reading itself.

const image = (seed, channels = 3, size = 8) => Uint8Array.from({ length: channels * size * size }, (_, i) => (i * 11 + seed * 37) % 256);
const png = (seed, channels = 3, size = 8) =>
  Buffer.from(encodePng({ width: size, height: size, channels, data: image(seed, channels, size) }));
const jpegOf = (size, quality) => {
  const data = Buffer.from(Uint8Array.from({ length: 4 * size * size }, (_, i) => (i * 7) % 256));
  return Buffer.from(jpeg.encode({ width: size, height: size, data }, quality).data);
};

function idx(dimensions, data) {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.set([0, 0, 8, dimensions.length]);
  for (const [i, dimension] of dimensions.entries()) header.writeUInt32BE(dimension, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

const cifar = (labels) => Buffer.concat(labels.map((label, i) => Buffer.concat([Buffer.from([label]), image(i, 3, 32)])));

const tarFiles = ["train/a/1.png", "train/b/2.jpg", "README", "test/a/3.png", "test/b/4.png"];
const tar = async (extra = []) =>
  Buffer.from(
    await packTar([
      ...tarFiles
        .map((name, i) => ({ name, body: name.endsWith("jpg") ? jpegOf(8, 80) : png(i) }))
        .map(({ name, body }) => ({ header: { name, size: body.length }, body })),
      ...extra,
    ]),
  );
const longTar = () =>
  tar([
    { header: { name: `${"long/".repeat(50)}train/a/9.png`, size: png(9).length }, body: png(9) },
    { header: { name: "train/a/5.png", type: "symlink", linkname: "1.png", size: 0 } },
    { header: { name: "train/a/6.png", type: "link", linkname: "train/a/1.png", size: 0 } },
  ]);

const latents = (labels, extra = {}) => {
  const count = labels.length;
  return Buffer.from(
    writeSafetensors(
      [
        { name: "latents", dtype: "F32", shape: [count, 2, 2, 2], data: new Float32Array(8 * count).fill(0.5) },
        { name: "labels", dtype: "I64", shape: [count], data: BigInt64Array.from(labels, BigInt) },
      ],
      extra,
    ),
  );
};

/** What a tokenizer.json has, if only as null. */
const parts = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
const wordLevel = {
  version: "1.0",
  added_tokens: [{ id: 4, content: "<|endoftext|>", special: true }],
  normalizer: { type: "Lowercase" },
  pre_tokenizer: { type: "Whitespace" },
  model: { type: "WordLevel", vocab: { "[UNK]": 0, hello: 1, world: 2, ",": 3 }, unk_token: "[UNK]" },
};
const bpe = {
  added_tokens: [],
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
  decoder: { type: "ByteLevel" },
  model: {
    type: "BPE",
    vocab: Object.fromEntries([..."helowrdĠ", "he", "ll", "hell"].map((token, i) => [token, i])),
    merges: ["h e", "l l", "he ll"],
  },
};
const unigram = {
  model: {
    type: "Unigram",
    unk_id: 0,
    vocab: [
      ["<unk>", 0],
      ["▁", -2],
      ["hello", -1.5],
      ["world", -1.25],
    ],
  },
  pre_tokenizer: { type: "Metaspace" },
};
const json = (value) => Buffer.from(JSON.stringify(value));

const metricLines = Array.from({ length: 6 }, (_, i) =>
  JSON.stringify({
    unit: `block-${i % 2}`,
    step: i,
    time: 1.5 + i,
    loss: i === 3 ? null : 0.1 * i,
    ...(i === 3 && { nonFinite: { loss: "NaN" } }),
  }),
);

const hash = configHash({ a: 1 });
const checkpoint = async (folder) => {
  const store = await CheckpointStore.open({ folder, unit: "block-0", configHash: hash });
  const path = await store.save({
    step: 7,
    metadata: { updates: "7" },
    tensors: [{ name: "w", dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) }],
  });
  return readFileSync(path);
};

/** The place of the digest in a checkpoint: behind the length and `{"__metadata__":{"sha256":"`. */
const digestAt = 35;

function repairCheckpoint(bytes) {
  if (bytes.length < digestAt + 64) return bytes;
  const out = Buffer.from(bytes);
  out.fill("0", digestAt, digestAt + 64);
  out.write(createHash("sha256").update(out).digest("hex"), digestAt, "latin1");
  return out;
}

function repairPng(bytes) {
  const out = Buffer.from(bytes);
  for (let at = 8; at + 12 <= out.length; ) {
    const length = out.readUInt32BE(at);
    if (at + 12 + length > out.length) break;
    out.writeUInt32BE(crc32(out.subarray(at + 4, at + 8 + length)), at + 8 + length);
    at += 12 + length;
  }
  return out;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** The checksum of every block that could be a header. */
function repairTar(bytes) {
  const out = Buffer.from(bytes);
  for (let at = 0; at + 512 <= out.length; at += 512) {
    const block = out.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
  }
  return out;
}

function repairEvents(bytes) {
  const masked = (part) => {
    const crc = crc32c(part);
    return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  };
  const out = Buffer.from(bytes);
  for (let at = 0; at + 12 <= out.length; ) {
    const length = Number(out.readBigUInt64LE(at));
    out.writeUInt32LE(masked(out.subarray(at, at + 8)), at + 8);
    const end = at + 12 + length;
    if (end + 4 > out.length) break;
    out.writeUInt32LE(masked(out.subarray(at + 12, end)), end);
    at = end + 4;
  }
  return out;
}

function repairDecoded(bytes) {
  if (bytes.length < 44) return bytes;
  const out = Buffer.from(bytes);
  out.set(createHash("sha256").update(out.subarray(40)).digest(), 8);
  return out;
}

/** Images to means of their channels, with a name of its own. */
function featureModel() {
  const features = reduceMean(input("images", [2, 3, 4, 4]), [2, 3]);
  return Buffer.from(encodeModel(createProgram({ features }), { metadata: { features: "means" } }).bytes);
}

/** A device that makes nothing of a model that was found sound. */
const noDevice = { compile: async () => ({ run: async () => ({}), dispose: async () => {} }) };

async function readTensors(bytes) {
  for (const tensor of readSafetensors(bytes).tensors.values()) {
    for (const read of [asFloat32, asFloat64, asInt]) {
      try {
        read(tensor);
      } catch (error) {
        if (error.code !== "dtype" && error.code !== "intRange") throw error;
      }
    }
  }
}

/** Reads a folder that holds the mutated file under `name`, and `others` as they are. */
function inFolder(name, others, read) {
  return async (bytes, folder) => {
    const path = join(folder, name);
    for (const [other, content] of Object.entries({ ...others, [name]: bytes })) {
      mkdirSync(dirname(join(folder, other)), { recursive: true });
      writeFileSync(join(folder, other), content);
    }
    await read(folder, path);
  };
}

const images = (path, folder) => loadImages(path, { cacheFolder: join(folder, "cache"), imageSize: undefined });
const text = (tokenizer) => async (folder, path) => {
  rmSync(join(folder, "cache"), { recursive: true, force: true });
  await loadText(path, tokenizer, { cacheFolder: join(folder, "cache") });
};

const mnist = {
  "train-images-idx3-ubyte": idx([2, 4, 4], image(1, 2, 4)),
  "train-labels-idx1-ubyte": idx([2], Buffer.from([1, 9])),
  "t10k-images-idx3-ubyte": idx([2, 4, 4], image(2, 2, 4)),
  "t10k-labels-idx1-ubyte": idx([2], Buffer.from([1, 9])),
};
const without = (name) => Object.fromEntries(Object.entries(mnist).filter(([key]) => key !== name));
const config = () => parseRunConfig(registry, [{ model: "vit", method: "blocks" }]);
const jsonl = ["hello world", "a second document", "ünïcode 😀 text"].map((line) => JSON.stringify({ text: line })).join("\n");

export const readers = {
  ...arrayReaders,
  ...networkReaders,
  safetensors: { seeds: async () => [latents([0, 1, 2], { a: "b" }), latents([0])], isText: true, read: readTensors },
  checkpoint: {
    seeds: async (folder) => [await checkpoint(folder)],
    repair: repairCheckpoint,
    isText: true,
    read: async (bytes, folder) => {
      writeFileSync(join(folder, "step-000007.safetensors"), bytes);
      await CheckpointStore.forReading({ folder, unit: "block-0", configHash: hash, keepLast: 9 }).load();
      await CheckpointStore.forReading({ folder, unit: "block-0", configHash: hash }).entries();
    },
  },
  "checkpoint in memory": {
    seeds: async (folder) => [await checkpoint(folder)],
    repair: repairCheckpoint,
    isText: true,
    read: decodeCheckpoint,
  },
  idx: {
    seeds: async () => [mnist["train-images-idx3-ubyte"]],
    read: inFolder("train-images-idx3-ubyte", without("train-images-idx3-ubyte"), (folder) => images(folder, folder)),
  },
  "idx labels": {
    seeds: async () => [mnist["train-labels-idx1-ubyte"]],
    read: inFolder("train-labels-idx1-ubyte", without("train-labels-idx1-ubyte"), (folder) => images(folder, folder)),
  },
  "idx.gz": {
    seeds: async () => [gzipSync(mnist["train-images-idx3-ubyte"]), gzipSync(idx([2, 1000, 1000], Buffer.alloc(2e6)))],
    read: inFolder("train-images-idx3-ubyte.gz", without("train-images-idx3-ubyte"), (folder) => images(folder, folder)),
  },
  "idx in gz": {
    seeds: async () => [mnist["train-images-idx3-ubyte"]],
    wrap: gzipSync,
    read: inFolder("train-images-idx3-ubyte.gz", without("train-images-idx3-ubyte"), (folder) => images(folder, folder)),
  },
  "cifar-10": {
    seeds: async () => [cifar([1, 9, 3])],
    read: inFolder("data_batch_1.bin", { "test_batch.bin": cifar([1]) }, (folder) => images(folder, folder)),
  },
  "cifar-10 names": {
    seeds: async () => [Buffer.from("airplane\nautomobile\nbird\n")],
    read: inFolder("batches.meta.txt", { "data_batch_1.bin": cifar([1]), "test_batch.bin": cifar([1]) }, (folder) =>
      images(folder, folder),
    ),
  },
  png: {
    seeds: async () => [
      png(1),
      png(2, 1),
      png(3, 4),
      Buffer.from(encodePng({ width: 9, height: 3, channels: 1, depth: 1, data: new Uint8Array(6).fill(170) })),
      Buffer.from(
        encodePng({
          width: 4,
          height: 2,
          channels: 1,
          depth: 8,
          palette: [
            [1, 2, 3],
            [4, 5, 6],
          ],
          data: Uint8Array.of(1, 0, 1, 0, 1, 1, 0, 0),
        }),
      ),
      Buffer.from(encodePng({ width: 4, height: 4, channels: 3, depth: 16, data: new Uint16Array(48).fill(999) })),
    ],
    repair: repairPng,
    read: async (bytes) => void decodeImage("x.png", bytes),
  },
  jpeg: { seeds: async () => [jpegOf(8, 90), jpegOf(24, 30)], read: async (bytes) => void decodeImage("x.jpg", bytes) },
  tar: {
    seeds: async () => [await tar(), await longTar()],
    repair: repairTar,
    read: inFolder("x.tar", {}, (folder, path) => images(path, folder)),
  },
  "tar.gz": { seeds: async () => [gzipSync(await tar())], read: inFolder("x.tar.gz", {}, (folder, path) => images(path, folder)) },
  "tar in gz": {
    seeds: async () => [await tar(), await longTar()],
    repair: repairTar,
    wrap: gzipSync,
    read: inFolder("x.tgz", {}, (folder, path) => images(path, folder)),
  },
  "decoded archive": {
    seeds: async (folder) => {
      const path = join(folder, "seed.tar");
      writeFileSync(path, await tar());
      await writeDecoded(join(folder, "kept"), { path: "x.tar", size: 1, mtimeMs: 2 }, await images(path, folder));
      return [readFileSync(join(folder, "kept", readdirSync(join(folder, "kept"))[0]))];
    },
    repair: repairDecoded,
    isText: true,
    read: async (bytes, folder) => {
      writeFileSync(join(folder, "kept", readdirSync(join(folder, "kept"))[0]), bytes);
      await readDecoded(join(folder, "kept"), { path: "x.tar", size: 1, mtimeMs: 2 });
    },
  },
  latents: {
    seeds: async () => [latents([0, 1, 2]), latents([0, 1])],
    isText: true,
    read: inFolder("x.safetensors", {}, (folder, path) => images(path, folder)),
  },
  "tokenizer.json": {
    seeds: async () => [wordLevel, bpe, unigram].map((one) => json({ ...parts, ...one })),
    isText: true,
    read: async (bytes) => {
      const tokenizer = tokenizerFromJson(parsed(bytes), "x");
      tokenizer.decode(tokenizer.encode("hello world, Hello\n ünïcode 😀"));
    },
  },
  "json lines": {
    seeds: async () => [Buffer.from(jsonl), Buffer.from(`\uFEFF${jsonl}\n`)],
    isText: true,
    read: inFolder("x.jsonl", {}, text("bytes")),
  },
  "json list": {
    seeds: async () => [json([{ text: "hello" }, "world", { text: "x", id: 3 }])],
    isText: true,
    read: inFolder("x.json", {}, text("auto")),
  },
  text: { seeds: async () => [Buffer.from("hello world, ünïcode 😀\n".repeat(20))], read: inFolder("x.txt", {}, text("auto")) },
  "kept tokens": {
    seeds: async () => [
      json([
        { file: "train", from: 0, length: 90 },
        { file: "train", from: 90, length: 5 },
        { file: "train", from: 95, length: 5 },
      ]),
    ],
    isText: true,
    read: async (bytes, folder) => {
      const [path, cache] = [join(folder, "x.txt"), join(folder, "tokens")];
      if (!existsSync(path)) {
        writeFileSync(path, "hello world. ".repeat(10));
        await loadText(path, "bytes", { cacheFolder: cache });
      }
      writeFileSync(join(cache, readdirSync(cache)[0], "parts.json"), bytes);
      const data = await loadText(path, "bytes", { cacheFolder: cache });
      data.train.read(0, new Int32Array(Math.min(8, data.train.length)));
    },
  },
  config: {
    seeds: async () => [json(config()), json({ model: "dit", training: { epochs: 2 } })],
    isText: true,
    read: async (bytes) => void parseRunConfig(registry, [parsedObject(bytes)], "config.json"),
  },
  partition: {
    seeds: async () => [json(partitionToJSON(partition({ numBlocks: 3, strategy: "equi-probability", noise: edmNoise })))],
    isText: true,
    read: async (bytes) => void partitionFromJSON(parseStrictJson(bytes.toString("utf8"), "partition.json")),
  },
  metrics: {
    seeds: async () => [Buffer.from(`${metricLines.join("\n")}\n`)],
    isText: true,
    read: async (bytes) => void parseMetrics(bytes.toString("utf8")),
  },
  events: {
    seeds: async () => [
      Buffer.concat([encodeEventFileStart(5), encodeEvent({ wallTime: 6, step: 300, scalars: [{ tag: "loss/a", value: 0.5 }] })]),
    ],
    repair: repairEvents,
    read: async (bytes) => void decodeEvents(bytes),
  },
  onnx: {
    seeds: async () => [featureModel()],
    read: async (bytes) => {
      decodeModel(bytes);
      await openFeatures(noDevice, bytes, "x.onnx");
    },
  },
};

/** JSON as the readers take it: what is none is refused by them, and counts as refused here. */
function parsed(bytes) {
  return parseStrictJson(bytes.toString("utf8"), "tokenizer.json");
}

function parsedObject(bytes) {
  const value = parseStrictJson(bytes.toString("utf8"), "config.json");
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
