import {
  type AttentionMap,
  type Classifier,
  createCaller,
  denoiseImages,
  fold,
  type ImageDataset,
  type ImageGenerator,
  type ImageInfo,
  keptShare,
  key,
  type MaskedTextModel,
  normals,
  type TextDataset,
  type TrainedClassifier,
  type TrainingMethod,
  UsageError,
  uniform,
} from "diffusion-blocks";
import { savedValues } from "./exchange.ts";
import { pictureOf, type Run, testPicture } from "./openRun.ts";
import type { Attention, AttentionLayer, Requests } from "./protocol.ts";
import type { ModelName } from "./settings.ts";

type Ask = Requests["attention"]["ask"];
/** What a unit is shown, without the maps of its layers. */
type Shown = Omit<Attention, "layers">;

/** Of a picture or a text of the test part, what each layer of a unit attends to when the unit answers. */
export async function attention(run: Run, ask: Ask): Promise<Attention> {
  const layers: AttentionLayer[] = [];
  const shown = await looks[run.config.model.name as ModelName](run, ask, (_, maps) => {
    for (const { shape, data } of maps) layers.push({ heads: shape[1], tokens: shape[2], weights: data });
  });
  return { ...shown, layers };
}

type Look = (run: Run, ask: Ask, onAttention: (program: string, layers: readonly AttentionMap[]) => void) => Promise<Shown>;

/** A classifier answers from the picture and pure noise, each block for itself. */
const classifier: Look = async (run, { index, unit }, onAttention) => {
  const { task, method, info, device, folder } = run;
  const picture = testPicture(run, index);
  const values = await savedValues(folder, method);
  await using model = task.trained(method, info, { device, values, batchSize: 1, onAttention }) as TrainedClassifier;
  await model.block(unit).predict(picture.bytes);
  const lead = (method as Classifier).isRandom ? ["class token", "noisy label"] : ["class token"];
  return { shown: { picture }, level: "pure noise in place of the class", lead };
};

/** A block that draws denoises the picture at a level in the middle of its range. */
const drawer: Look = async (run, { index, unit }, onAttention) => {
  const { data, info } = run;
  const method = run.method as TrainingMethod & ImageGenerator;
  const [low, high] = method.partition.ranges[unit]!;
  const sigma = Math.sqrt(low * high);
  const { bytes } = testPicture(run, index);
  const noise = normals(fold(key("attention"), index), bytes.length);
  const z = noise.map((epsilon, i) => bytes[i]! / 127.5 - 1 + sigma * epsilon);
  const label = method.numClasses === 0 ? 0 : (data as ImageDataset).test.labels[index]!;
  await using caller = createCaller(method, {
    device: run.device,
    values: await savedValues(run.folder, method),
    batchSize: 1,
    onAttention,
  });
  await denoiseImages(method, caller.call, z, sigma, Int32Array.of(label));
  const scaled = z.map((value) => value / Math.sqrt(1 + sigma ** 2));
  return { shown: { picture: pictureOf(scaled, info as ImageInfo) }, level: `σ ${sigma.toPrecision(2)}`, lead: [] };
};

/** A block of masked text sees a text of which as many symbols are hidden as in the middle of its times. */
const reader: Look = async (run, { index, unit }, onAttention) => {
  const { test, tokenizer } = run.data as TextDataset;
  const method = run.method as TrainingMethod & MaskedTextModel;
  const { length, vocabSize, partition, estimates } = method;
  const from = index * length;
  if (from + length > test.length)
    throw new UsageError("noText", { index }, `The text for tests has ${Math.floor(test.length / length)} sequences of ${length} symbols.`);
  const [low, high] = partition.ranges[unit]!;
  const t = (low + high) / 2;
  const coin = new Float32Array(length);
  uniform(fold(key("attention"), index), coin);
  const kept = keptShare(partition.schedule, t);
  const tokens = test.slice(from, from + length).map((token, i) => (coin[i]! < kept ? token : vocabSize));
  await using caller = createCaller(method, {
    device: run.device,
    values: await savedValues(run.folder, method),
    batchSize: 1,
    onAttention,
  });
  await caller.call(estimates[unit]!, { tokens, t: Float32Array.of(t) });
  const symbols = Array.from(tokens, (token) => (token === vocabSize ? null : tokenizer.decode([token])));
  return { shown: { symbols }, level: `t ${t.toPrecision(2)}`, lead: [] };
};

const looks: Readonly<Record<ModelName, Look>> = { vit: classifier, dit: drawer, "masked-diffusion": reader };
