import { basename } from "node:path";
import { channelStatistics, checkFinite, checkLabels, type ImageDataset, type ImageSplit, type ReadLimits } from "../data/index.ts";
import { DataError, FormatError } from "../errors.ts";
import { asFloat32, asInt, readSafetensors, type SafetensorsFile, type SafetensorsTensor } from "../formats/index.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { wholeFile } from "./wholeFile.ts";

export const latentsFormat: ImageFormat = {
  name: "latents",
  description: "latent images as .safetensors",
  recognises: (path, files) => files === undefined && path.endsWith(".safetensors"),
  load: (path, { limits }) => loadLatents(path, limits),
};

/**
 * Latent images that an encoder made elsewhere, as safetensors: `latents`, float [count, channels, height, width],
 * with `labels`, integers [count], where there are classes. Of one such pair the last twentieth is for tests;
 * `train.latents`, `train.labels`, `test.latents` and `test.labels` say it themselves.
 *
 * @throws {DataError} if the file is missing, its tensors are not these, or a label is no class. {FormatError} if it is damaged.
 */
async function loadLatents(path: string, limits: ReadLimits): Promise<ImageDataset> {
  const bytes = await wholeFile(path);
  const file = named(path, () => readSafetensors(bytes));
  const tensor = (name: string): SafetensorsTensor | undefined => file.tensors.get(name);
  const split = (prefix: string): ImageSplit => splitOf(file, prefix, path, limits);
  const [train, test] = tensor("train.latents") ? [split("train."), split("test.")] : heldOut(split(""), path);
  if (train.channels !== test.channels || train.height !== test.height || train.width !== test.width) {
    const message = `${path}: latents for training and for tests differ in shape. Encode both alike.`;
    throw new DataError("shapesDiffer", { path }, message);
  }
  const isLabelled = tensor("labels") !== undefined || tensor("train.labels") !== undefined;
  const numClasses = isLabelled ? 1 + [...train.labels, ...test.labels].reduce((a, b) => Math.max(a, b), 0) : 0;
  const classNames = Array.from({ length: numClasses }, (_, k) => String(k));
  const name = basename(path).replace(/\.safetensors$/, "");
  return { name, isLatent: true, classNames, numClasses, ...channelStatistics(train), train, test };
}

function splitOf({ tensors }: SafetensorsFile, prefix: string, path: string, limits: ReadLimits): ImageSplit {
  const latents = tensors.get(`${prefix}latents`);
  const labels = tensors.get(`${prefix}labels`);
  if (latents?.shape.length !== 4) {
    const message = `${path} has no tensor ${prefix}latents of shape [count, channels, height, width]; it has ${[...tensors.keys()].slice(0, 5).join(", ") || "none"}.`;
    throw new DataError("noLatents", { path }, message);
  }
  const [count, channels, height, width] = latents.shape as [number, number, number, number];
  if (latents.shape.includes(0)) {
    const message = `${path}: ${prefix}latents has shape [${latents.shape.join(", ")}], in which no size may be 0. Encode some images.`;
    throw new DataError("empty", { path, shape: latents.shape }, message);
  }
  if (labels !== undefined && labels.shape.join() !== `${count}`) {
    const message = `${path}: ${prefix}labels has shape [${labels.shape.join(", ")}], expected is [${count}], one for each of the latents.`;
    throw new DataError("countsDiffer", { path }, message);
  }
  const images = named(path, () => asFloat32(latents));
  checkFinite(path, `${prefix}latents`, images, count);
  return {
    images,
    labels: labels === undefined ? new Int32Array(count) : checkedLabels(path, `${prefix}labels`, labels, limits),
    count,
    channels,
    height,
    width,
  };
}

function checkedLabels(path: string, name: string, tensor: SafetensorsTensor, { classes }: ReadLimits): Int32Array {
  const labels = named(path, () => asInt(tensor));
  checkLabels(path, name, labels, classes);
  return labels;
}

/** What `read` gives; its errors name the file. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FormatError) throw new FormatError(cause.code, { ...cause.data, path }, `${path}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The last twentieth, but at least one, for tests. */
function heldOut(all: ImageSplit, path: string): readonly [ImageSplit, ImageSplit] {
  if (all.count < 2) {
    const message = `${path} has ${all.count} image; the last twentieth is held out for tests, and at least one must remain. Encode more.`;
    throw new DataError("tooFew", { path, count: all.count }, message);
  }
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
