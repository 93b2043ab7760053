import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { imageWriter, trainBatches } from "../data/index.ts";
import { writeSafetensors } from "../formats/index.ts";
import { key } from "../random.ts";
import { loadImages } from "./load.ts";

const folder = mkdtempSync(join(tmpdir(), "latents-"));
const [count, channels, size] = [40, 4, 8];
const numbers = Float32Array.from({ length: count * channels * size * size }, (_, i) => Math.sin(i) + (Math.floor(i / 64) % channels));
const labels = Int32Array.from({ length: count }, (_, i) => i % 3);

function file(name: string, tensors: Parameters<typeof writeSafetensors>[0]): string {
  const path = join(folder, name);
  writeFileSync(path, writeSafetensors(tensors));
  return path;
}

const latents = { name: "latents", dtype: "F32", shape: [count, channels, size, size], data: numbers } as const;
const classes = { name: "labels", dtype: "I32", shape: [count], data: labels } as const;

test("latents are numbers with classes, the last twentieth for tests; batches have mean 0 and deviation 1", async () => {
  const data = await loadImages(file("whole.safetensors", [latents, classes]));
  expect([data.isLatent, data.numClasses, data.train.count, data.test.count]).toEqual([true, 3, 38, 2]);
  expect(data.mean.map((x) => Math.round(x) + 0)).toEqual([0, 1, 2, 3]);
  const { images } = trainBatches(data.train, { batchSize: 38, seed: 1, augmentation: "none", ...data }).at(0);
  const mean = images.reduce((sum, x) => sum + x, 0) / images.length;
  const square = images.reduce((sum, x) => sum + x * x, 0) / images.length;
  expect(mean).toBeCloseTo(0, 4);
  expect(square).toBeCloseTo(1, 3);
});

test("without labels there are no classes; with four tensors both parts are given", async () => {
  expect((await loadImages(file("plain.safetensors", [latents]))).numClasses).toBe(0);
  const both = [
    { ...latents, name: "train.latents" },
    { ...classes, name: "train.labels" },
    { ...latents, name: "test.latents" },
    { ...classes, name: "test.labels" },
  ];
  const data = await loadImages(file("both.safetensors", both));
  expect([data.train.count, data.test.count, data.numClasses]).toEqual([40, 40, 3]);
});

test("a mirrored latent image is the image from right to left", async () => {
  const { train } = await loadImages(file("mirrored.safetensors", [latents, classes]));
  const same = { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] };
  const [plain, flipped] = [new Float32Array(256), new Float32Array(256)];
  imageWriter(train, "none", same)(plain, 0, 5, key(0));
  const write = imageWriter(train, "flip", same);
  const seed = Array.from({ length: 20 }, (_, i) => i).find((i) => {
    write(flipped, 0, 5, key(i));
    return flipped[0] !== plain[0];
  });
  expect(seed).toBeDefined();
  for (let i = 0; i < 256; i++) expect(flipped[i]).toBe(plain[i - (i % size) + size - 1 - (i % size)]);
});

test.each([
  ["no latents", [{ ...latents, name: "images" }], /no tensor latents.*it has images/],
  ["another shape", [{ ...latents, shape: [count, channels * size * size] }], /no tensor latents of shape/],
  ["too few labels", [latents, { ...classes, shape: [39], data: labels.subarray(1) }], /labels has shape \[39\], expected is \[40\]/],
] as const)("refused: %s", async (name, tensors, message) => {
  await expect(loadImages(file(`${name}.safetensors`, tensors))).rejects.toThrow(message);
});

test("crops are for pixels", async () => {
  const { train, mean, std } = await loadImages(file("crops.safetensors", [latents, classes]));
  expect(() => imageWriter(train, "flip-crop", { mean, std })).toThrow(/are for pixels.*none or flip/);
});
