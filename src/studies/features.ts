import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ImageInfo } from "../data/index.ts";
import { type ConfigPart, optionsOf, parseRunConfig, type Registry } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { type ClassifierArchitecture, type ClassifierNetwork, namedParameters, plainConditioning, plainContext } from "../nn/index.ts";
import { encodeModel } from "../onnx/index.ts";
import { loadParameters, openTrainedRun, type RunListener, trainRun } from "../runs/index.ts";
import { type ClassEvaluation, classes } from "../tasks/index.ts";
import { add, constant, createProgram, input, mul, type Tensor } from "../tensor/index.ts";

/** The classifier whose last features are taken: small, for the images at hand. */
const featureNetwork: ConfigPart = {
  model: { name: "vit", width: 96, numLayers: 4 },
  method: "end-to-end",
  training: { epochs: 10 },
};

const batchSize = 32;

export interface TrainFeaturesOptions extends RunListener {
  readonly registry: Registry;
  /** Folder of the classifier's run; goes on where it was stopped. */
  readonly path: string;
  readonly dataPath: string;
  /** The ONNX file to write. */
  readonly out: string;
  readonly overrides?: ConfigPart;
  readonly signal?: AbortSignal;
}

/**
 * Trains a small classifier on labelled images and writes the network up to its last features as an ONNX file, for
 * {@link openFeatures}. Distances between such features compare models on the same data; they are no FID of the
 * literature, and tables call them FID[dblocks-features].
 *
 * @returns its test accuracy, and the width of the features; undefined if it was stopped.
 */
export async function trainFeatures({
  registry,
  path,
  dataPath,
  out,
  overrides = {},
  signal,
  ...listener
}: TrainFeaturesOptions): Promise<{ readonly accuracy: number; readonly width: number } | undefined> {
  const config = parseRunConfig(registry, [featureNetwork, { data: { path: dataPath } }, overrides]);
  const { evaluation } = await trainRun({ registry, path, config, ...(signal && { signal }), ...listener });
  if (evaluation === undefined) return undefined;
  const width = await exportFeatures(registry, path, out);
  return { accuracy: (evaluation as ClassEvaluation).mean, width };
}

/**
 * Writes the network of a classifier trained end to end, up to what its head reads, as ONNX: images in [−1, 1] ->
 * features. @returns their width.
 */
export async function exportFeatures(registry: Registry, path: string, out: string): Promise<number> {
  const run = await openTrainedRun(registry, path);
  const { task, config } = run;
  if (task !== classes || config.method.name !== "end-to-end") {
    const message = `${path}: features are taken from a classifier that was trained end to end; this run is ${config.model.name}, ${config.method.name}.`;
    throw new UsageError("notEndToEnd", { model: config.model.name, method: config.method.name }, message);
  }
  const parameter = await loadParameters(run);
  const info = run.info as ImageInfo;
  const { mean, std } = info;
  const architecture = registry
    .model(config.model.name)
    .build(optionsOf(config.model), classes.shapeOf(info, { augmentation: "none" })) as ClassifierArchitecture;
  const network = architecture.build(plainConditioning(architecture.epsilon));
  const features = featuresOf(network, normalised(input("images", architecture.inputType(batchSize).shape), mean, std));
  const named = namedParameters({ parts: { stem: network.stem, layers: network.layers, head: network.head } });
  const program = createProgram({ features }, { names: new Map([...named].map(([name, tensor]) => [tensor, name])) });
  const weights = new Map([...named.keys()].map((name) => [name, parameter(`network/${name}`)]));
  const { bytes } = encodeModel(program, {
    weights,
    metadata: { features: "dblocks-features", data: info.name, architecture: nameOf(architecture) },
  });
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, bytes);
  return features.shape[1]!;
}

/** The input of the head of a network. */
function featuresOf({ stem, layers, head }: ClassifierNetwork, images: Tensor): Tensor {
  const state = layers.reduce((h, layer) => layer(h, plainContext), stem(images, undefined, plainContext));
  let features: Tensor | undefined;
  head(state, plainContext, (read) => (features = read));
  return features ?? state;
}

/** From [−1, 1] to what the classifier was trained on: ((x + 1)/2 − mean)/std for each channel. */
function normalised(images: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  const channels = mean.length;
  const perChannel = (values: readonly number[]): Tensor => constant(Float32Array.from(values), [1, channels, 1, 1]);
  const scale = perChannel(std.map((s) => 0.5 / s));
  return add(mul(images, scale), perChannel(mean.map((m, c) => (0.5 - m) / std[c]!)));
}

function nameOf({ name, numLayers, width }: ClassifierArchitecture): string {
  return `${name}, ${numLayers} layers, width ${width}`;
}
