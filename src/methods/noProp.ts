import { z } from "zod";
import {
  type ClassTable,
  classPrototypes,
  classTable,
  noPropBackprop,
  noPropContinuous,
  noPropDiscrete,
  noPropFlow,
} from "../baselines/index.ts";
import { type ImageDataset, imageWriter } from "../data/index.ts";
import {
  type AnyMethodEntry,
  count,
  defineMethod,
  type ImageData,
  type MethodDefinition,
  type NoPropModel,
  noPropKind,
  on,
  option,
  positive,
} from "../define/index.ts";
import { key } from "../random.ts";

const numSteps = option(count, { flag: "denoising-steps", description: "blocks, each a whole network" }).default(10);
const inferenceSteps = option(count, { description: "steps of a prediction", prediction: true }).default(1000);

/** η: weight of the denoising term. */
function eta(byDefault: number) {
  return option(positive, { value: "x", description: "weight of the denoising term" }).default(byDefault);
}

/** NoProp's network, trained end to end as its baseline. */
export const backprop: MethodDefinition = defineMethod({
  name: "backprop",
  summary: "NoProp's baseline: its blocks trained end to end",
  fits: [onNoProp(z.strictObject({ numSteps }), noPropBackprop)],
});

export const noPropDT: MethodDefinition = defineMethod({
  name: "noprop-dt",
  summary: "NoProp in discrete time: each block denoises the label at its own step",
  fits: [onNoProp(z.strictObject({ numSteps, eta: eta(0.1) }), noPropDiscrete)],
});

export const noPropCT: MethodDefinition = defineMethod({
  name: "noprop-ct",
  summary: "NoProp in continuous time: one network for all times, with a learned noise schedule",
  fits: [onNoProp(z.strictObject({ eta: eta(1), inferenceSteps }), noPropContinuous)],
});

export const noPropFM: MethodDefinition = defineMethod({
  name: "noprop-fm",
  summary: "NoProp by flow matching",
  fits: [onNoProp(z.strictObject({ inferenceSteps }), noPropFlow)],
});

/** A way of training NoProp's network: from its paths, the embeddings of the classes, and options. */
export function onNoProp<Schema extends z.ZodObject>(
  schema: Schema,
  method: (network: NoPropModel["network"], table: ClassTable, options: z.output<Schema>) => ReturnType<AnyMethodEntry["build"]>,
): AnyMethodEntry {
  return on(noPropKind, {
    schema,
    build: ({ network, shape, data }, options) => {
      const model = network();
      return method(model.network, classTableOf(model, shape, data as ImageDataset | undefined), options);
    },
  });
}

/** The class embeddings of a model; learned prototypes start at images of the data. */
function classTableOf({ embedding, embeddingWidth }: NoPropModel, { numClasses }: ImageData, data: ImageDataset | undefined): ClassTable {
  const start = { name: "prototypes", fill: (out: Float32Array) => out.set(prototypesOf(data, embeddingWidth)) };
  return classTable({ kind: embedding, numClasses, width: embeddingWidth, start });
}

function prototypesOf(data: ImageDataset | undefined, size: number): Float32Array {
  if (data === undefined) throw new Error("internal: prototypes need the images");
  const { train, mean, std, numClasses } = data;
  const write = imageWriter(train, "none", { mean, std });
  const imageAt = (item: number): Float32Array => {
    const out = new Float32Array(size);
    write(out, 0, item, key(0));
    return out;
  };
  return classPrototypes(imageAt, train.labels, numClasses);
}
