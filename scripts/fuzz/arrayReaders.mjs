import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { readNpy, readPickle } from "../../dist/formats/index.js";
import { loadImages, loadText } from "../../dist/sources/index.js";

// Readers of what NumPy, pickle, pyarrow and tables write; their seeds are the files that these programs wrote.

const fixtures = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));
const fixture = (name) => readFileSync(join(fixtures, name));
const named = (pattern) => readdirSync(fixtures).filter((name) => pattern.test(name));

/** The files of an archive of pickles, cut out of its blocks of 512 bytes. */
function pickles(name) {
  const tar = gunzipSync(fixture(name));
  const files = [];
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8);
    files.push(tar.subarray(at + 512, at + 512 + size));
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}

const inFile = (name, read) => async (bytes, folder) => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  await read(path, join(folder, "cache"));
};
const images = (path, cacheFolder) => loadImages(path, { cacheFolder, valSplit: 0.5 });
const text = async (path, cacheFolder) => {
  rmSync(cacheFolder, { recursive: true, force: true });
  await loadText(path, "bytes", { cacheFolder });
};

const table = `a,b,species\n${"1,2.5,cat\n-3e4,0,dog\n7,8,cat\n".repeat(8)}`;

export const arrayReaders = {
  pickle: {
    seeds: async () => named(/python|protocol/).flatMap(pickles),
    read: async (bytes) => void readPickle(bytes),
  },
  "pickle in folder": {
    seeds: async () => pickles("cifar-10-protocol-2.tar.gz").slice(0, 1),
    read: inFile("cifar/data_batch_1", (path, cacheFolder) => {
      writeFileSync(join(dirname(path), "test_batch"), pickles("cifar-10-protocol-4.tar.gz")[2]);
      return images(dirname(path), cacheFolder);
    }),
  },
  npy: { seeds: async () => named(/\.npy$/).map(fixture), isText: true, read: async (bytes) => void readNpy(bytes) },
  npz: { seeds: async () => named(/^(keras|medmnist|table)\.npz$/).map(fixture), read: inFile("arrays.npz", images) },
  csv: {
    seeds: async () => [Buffer.from(table), Buffer.from(`x;"label"\n${'1;0\n"2";1\n'.repeat(9)}`)],
    isText: true,
    read: inFile("t.csv", images),
  },
  "parquet images": {
    seeds: async () => ["train-00000-of-00002.parquet"].map((name) => fixture(`hub/data/${name}`)),
    read: inFile("shard.parquet", images),
  },
  "parquet text": { seeds: async () => named(/\.parquet$/).map(fixture), read: inFile("text.parquet", text) },
};
