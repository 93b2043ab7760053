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
  type BuildContext,
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
  fits: [
    on(noPropKind, {
      schema: z.strictObject({ numSteps }),
      build: (context, options) => noPropBackprop(context.network().network, classTableOf(context), options),
    }),
  ],
});

export const noPropDT: MethodDefinition = defineMethod({
  name: "noprop-dt",
  summary: "NoProp in discrete time: each block denoises the label at its own step",
  fits: [
    on(noPropKind, {
      schema: z.strictObject({ numSteps, eta: eta(0.1) }),
      build: (context, options) => noPropDiscrete(context.network().network, classTableOf(context), options),
    }),
  ],
});

export const noPropCT: MethodDefinition = defineMethod({
  name: "noprop-ct",
  summary: "NoProp in continuous time: one network for all times, with a learned noise schedule",
  fits: [
    on(noPropKind, {
      schema: z.strictObject({ eta: eta(1), inferenceSteps }),
      build: (context, options) => noPropContinuous(context.network().network, classTableOf(context), options),
    }),
  ],
});

export const noPropFM: MethodDefinition = defineMethod({
  name: "noprop-fm",
  summary: "NoProp by flow matching",
  fits: [
    on(noPropKind, {
      schema: z.strictObject({ inferenceSteps }),
      build: (context, options) => noPropFlow(context.network().network, classTableOf(context), options),
    }),
  ],
});

/** The class embeddings of a model; learned prototypes start at images of the data. */
export function classTableOf({ network, shape, data }: BuildContext<NoPropModel, ImageData>): ClassTable {
  const { embedding, embeddingWidth } = network();
  const start = {
    name: "prototypes",
    fill: (out: Float32Array) => out.set(prototypesOf(data as ImageDataset | undefined, embeddingWidth)),
  };
  return classTable({ kind: embedding, numClasses: shape.numClasses, width: embeddingWidth, start });
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
