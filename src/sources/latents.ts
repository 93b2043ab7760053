import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { channelStatistics, type ImageDataset, type ImageSplit } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { asFloat32, asInt, readSafetensors, type SafetensorsFile, type SafetensorsTensor } from "../formats/index.ts";
import type { ImageFormat } from "./imageFormat.ts";

export const latentsFormat: ImageFormat = {
  name: "latents",
  description: "latent images as .safetensors",
  recognises: (path, files) => files === undefined && path.endsWith(".safetensors"),
  load: (path) => loadLatents(path),
};

/**
 * Latent images that an encoder made elsewhere, as safetensors: `latents`, float [count, channels, height, width],
 * with `labels`, integers [count], where there are classes. Of one such pair the last twentieth is for tests;
 * `train.latents`, `train.labels`, `test.latents` and `test.labels` say it themselves.
 *
 * @throws {DataError} if the file is missing or damaged, or its tensors are not these.
 */
async function loadLatents(path: string): Promise<ImageDataset> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new DataError("noData", { path }, `There are no latents at ${path}.`, { cause });
  });
  const file = readSafetensors(bytes);
  const named = (name: string): SafetensorsTensor | undefined => file.tensors.get(name);
  const [train, test] = named("train.latents")
    ? [splitOf(file, "train.", path), splitOf(file, "test.", path)]
    : heldOut(splitOf(file, "", path));
  if (train.channels !== test.channels || train.height !== test.height || train.width !== test.width) {
    const message = `${path}: latents for training and for tests differ in shape. Encode both alike.`;
    throw new DataError("shapesDiffer", { path }, message);
  }
  const isLabelled = named("labels") !== undefined || named("train.labels") !== undefined;
  const numClasses = isLabelled ? 1 + [...train.labels, ...test.labels].reduce((a, b) => Math.max(a, b), 0) : 0;
  const classNames = Array.from({ length: numClasses }, (_, k) => String(k));
  const name = basename(path).replace(/\.safetensors$/, "");
  return { name, isLatent: true, classNames, numClasses, ...channelStatistics(train), train, test };
}

function splitOf({ tensors }: SafetensorsFile, prefix: string, path: string): ImageSplit {
  const latents = tensors.get(`${prefix}latents`);
  const labels = tensors.get(`${prefix}labels`);
  if (latents?.shape.length !== 4) {
    const message = `${path} has no tensor ${prefix}latents of shape [count, channels, height, width]; it has ${[...tensors.keys()].slice(0, 5).join(", ") || "none"}.`;
    throw new DataError("noLatents", { path }, message);
  }
  const [count, channels, height, width] = latents.shape as [number, number, number, number];
  if (labels !== undefined && labels.shape.join() !== `${count}`) {
    const message = `${path}: ${prefix}labels has shape [${labels.shape.join(", ")}], expected is [${count}], one for each of the latents.`;
    throw new DataError("countsDiffer", { path }, message);
  }
  return {
    images: asFloat32(latents),
    labels: labels === undefined ? new Int32Array(count) : asInt(labels),
    count,
    channels,
    height,
    width,
  };
}

/** The last twentieth, but at least one, for tests. */
function heldOut(all: ImageSplit): readonly [ImageSplit, ImageSplit] {
  const first = all.count - Math.max(1, Math.floor(all.count / 20));
  const pixels = all.channels * all.height * all.width;
  const part = (from: number, to: number): ImageSplit => ({
    ...all,
    images: all.images.subarray(from * pixels, to * pixels),
    labels: all.labels.subarray(from, to),
    count: to - from,
  });
  return [part(0, first), part(first, all.count)];
}
