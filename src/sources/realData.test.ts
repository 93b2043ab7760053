import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, type TestContext, test } from "vitest";
import { channelStatistics, type ImageSplit } from "../data/index.ts";
import { loadImages } from "./load.ts";

const root = process.env.DBLOCKS_DATA ?? fileURLToPath(new URL("../../../shared/data", import.meta.url));

function pathOf(name: string, { skip }: TestContext): string {
  const path = join(root, name);
  if (!existsSync(path)) skip(`${path} is absent; set DBLOCKS_DATA to the folder of the data sets`);
  return path;
}

function perClass({ labels }: ImageSplit, numClasses: number): number[] {
  return Array.from({ length: numClasses }, (_, k) => labels.filter((label) => label === k).length);
}

test("CIFAR-10: counts, classes and statistics are the published ones", async (context) => {
  const { train, test: unseen, classNames, mean, std } = await loadImages(pathOf("cifar-10-batches-bin", context));
  expect([train.count, unseen.count, classNames[0], classNames[9]]).toEqual([10_000, 2_000, "airplane", "truck"]);
  for (const count of perClass(train, 10)) expect(Math.abs(count - 1000)).toBeLessThan(150);
  const measured = channelStatistics(train);
  for (let channel = 0; channel < 3; channel++) {
    expect(Math.abs(measured.mean[channel]! - mean[channel]!)).toBeLessThan(0.01);
    expect(Math.abs(measured.std[channel]! - std[channel]!)).toBeLessThan(0.01);
  }
});

test("MNIST: counts, shape and statistics", async (context) => {
  const { train, test: unseen, mean } = await loadImages(pathOf("mnist-10k", context));
  expect([train.count, unseen.count, train.height, train.width]).toEqual([8_000, 2_000, 28, 28]);
  expect(Math.abs(channelStatistics(train).mean[0]! - mean[0]!)).toBeLessThan(0.005);
});

test("an archive of 55,000 JPEG files: counts, progress, and the same images from what was kept", async (context) => {
  const path = pathOf("cifar10-jpeg.tar.gz", context);
  const cacheFolder = await mkdtemp(join(tmpdir(), "dblocks-cache-"));
  try {
    const digest = ({ images, labels }: ImageSplit): string => createHash("sha256").update(images).update(labels).digest("hex");
    const told: [images: number, fraction: number][] = [];
    const decoded = await loadImages(path, { cacheFolder, onProgress: (...progress) => told.push(progress) });
    expect([decoded.train.count, decoded.test.count, decoded.numClasses]).toEqual([47_000, 8_000, 10]);
    expect(told.length).toBeGreaterThan(200);
    expect(told.at(-1)).toEqual([55_000, 1]);
    expect(told.every(([images, fraction], i) => i === 0 || (images > told[i - 1]![0] && fraction >= told[i - 1]![1]))).toBe(true);
    expect(await readdir(cacheFolder)).toHaveLength(1);
    const kept = await loadImages(path, { cacheFolder, onProgress: () => expect.unreachable("decoded again") });
    expect([digest(kept.train), digest(kept.test), kept.mean]).toEqual([digest(decoded.train), digest(decoded.test), decoded.mean]);
  } finally {
    await rm(cacheFolder, { recursive: true });
  }
});
