import {
  type ClassTable,
  classPrototypes,
  classTable,
  noPropBackprop,
  noPropContinuous,
  noPropDiscrete,
  noPropFlow,
} from "../baselines/index.ts";
import { imageWriter } from "../data/index.ts";
import { noPropNetwork } from "../models/index.ts";
import { key } from "../random.ts";
import type { Classifier } from "../train/index.ts";
import { type DataShape, notSquare, unfit } from "./dataShape.ts";
import type { RunConfig } from "./runConfig.ts";

/** Numbers of a class embedding: one for each class, as many as asked for, or one for each of the image's. */
export function embeddingWidthOf({ embedding, embeddingWidth }: RunConfig["noProp"], { numClasses, train }: DataShape): number {
  if (embedding === "learned") return embeddingWidth;
  return embedding === "one-hot" ? numClasses : train.channels * train.height * train.width;
}

/**
 * NoProp's network trained in its own ways. The shallow twin is one of the blocks that NoProp-DT trains, end to end.
 *
 * @throws {UsageError} for a method that needs layers, or images that are not square.
 */
export function buildNoProp({ model, method, network: { dropout }, noProp }: RunConfig, data: DataShape): Classifier {
  const { channels, height, width } = data.train;
  if (height !== width) throw notSquare(model, data);
  const network = noPropNetwork({ imageSize: height, channels, numClasses: data.numClasses, dropout });
  const classes = buildClassTable(noProp, data);
  const { numSteps, inferenceSteps, eta } = noProp;
  const weight = eta === undefined ? {} : { eta };
  switch (method) {
    case "backprop":
      return noPropBackprop(network, classes, { numSteps });
    case "shallow-twin":
      return { ...noPropBackprop(network, classes, { numSteps: 1 }), name: "shallow-twin" };
    case "noprop-dt":
      return noPropDiscrete(network, classes, { numSteps, ...weight });
    case "noprop-ct":
      return noPropContinuous(network, classes, { inferenceSteps, ...weight });
    case "noprop-fm":
      return noPropFlow(network, classes, { inferenceSteps });
    default: {
      const reason = "it reads a noisy label and has no layers that follow each other";
      throw unfit(model, method, reason, "blocks, backprop, noprop-dt, noprop-ct, noprop-fm or shallow-twin");
    }
  }
}

function buildClassTable(noProp: RunConfig["noProp"], data: DataShape): ClassTable {
  const width = embeddingWidthOf(noProp, data);
  const start = { name: "prototypes", fill: (out: Float32Array) => out.set(prototypesOf(data, width)) };
  return classTable({ kind: noProp.embedding, numClasses: data.numClasses, width, start });
}

function prototypesOf({ train: { images, labels, count, ...shape }, numClasses, mean, std }: DataShape, size: number): Float32Array {
  if (images === undefined || labels === undefined || count === undefined || mean === undefined || std === undefined)
    throw new Error("internal: prototypes need the images");
  const write = imageWriter({ images, labels, count, ...shape }, "none", { mean, std });
  const imageAt = (item: number): Float32Array => {
    const out = new Float32Array(size);
    write(out, 0, item, key(0));
    return out;
  };
  return classPrototypes(imageAt, labels, numClasses);
}
