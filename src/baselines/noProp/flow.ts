import { type DenoisingNetwork, defineModule, plainContext, stratifiedUniform, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, input, matmul, mean, mul, neg, random, reshape, sub, type Tensor } from "../../tensor/index.ts";
import type { Classifier, Unit } from "../../train/index.ts";
import { distanceReadout, distances, drawNormal, imagesInput, outputLoss, owned, squaredDistance, walkNoise } from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";

export interface NoPropFlowOptions {
  /** Euler steps at prediction. */
  readonly inferenceSteps?: number;
}

/**
 * NoProp-FM (Li, Teh, Pascanu 2025): flow matching from noise z_0 to the label embedding z_1 = u_y along z_t = t z_1 + (1 − t) z_0: ‖v(z_t, x, t) − (z_1 − z_0)‖² with
 * v = logits · table; a learned table adds −ln p̂(y | z_t + (1 − t) v). Prediction integrates v from noise and answers with the nearest class embedding.
 */
export function noPropFlow(network: DenoisingNetwork, classes: ClassTable, { inferenceSteps = 1000 }: NoPropFlowOptions = {}): Classifier {
  const { image, label, time, joint, classifier } = network.continuous(classes.width);
  const output = classes.parameter && distanceReadout(classes);
  const parts = { image, label, time, joint, classifier, output, table: classes.parameter };
  const unit: Unit = {
    name: "network",
    trainable: owned("network", defineModule(parts, {})),
    frozen: new Map(),
    constants: new Map(),
    numLayers: 1,
  };
  const velocity = (features: Tensor, z: Tensor, t: Tensor, context = plainContext): Tensor =>
    matmul(classifier(joint([features, label(z, context), time(t)])), classes.table);

  return {
    name: "noprop-fm",
    inputType: network.inputType,
    units: [unit],
    independentUnits: true,
    objective: (_, { input: images, labels }, key) => {
      const context = trainingContext(fold(key, "dropout"));
      const batch = labels.shape[0]!;
      const u = embed(classes, labels);
      const start = drawNormal(key, "noise", u.shape);
      const t = random(fold(key, "time"), stratifiedUniform, [batch]);
      const [along, rest] = [reshape(t, [batch, 1]), sub(1, reshape(t, [batch, 1]))];
      const z = add(mul(along, u), mul(rest, start));
      const v = velocity(image(images, context), z, t, context);
      const matching = mean(squaredDistance(v, sub(u, start)));
      if (output === undefined) return { loss: matching, metrics: {} };
      const answer = outputLoss(output(add(z, mul(rest, v))), labels);
      return { loss: add(matching, answer), metrics: { matching, answer } };
    },
    programs: (batchSize) => {
      const z = input("z", [batchSize, classes.width]);
      const features = input("features", [batchSize, network.features]);
      return {
        image: { features: image(imagesInput(network, batchSize), plainContext) },
        step: { next: add(z, mul(velocity(features, z, input("t", [batchSize])), 1 / inferenceSteps)) },
        nearest: { scores: neg(distances(z, classes)) },
      };
    },
    predict: async (call, images, batchSize, key) => {
      const { features } = await call("image", { input: images });
      let z = walkNoise(key, 0, batchSize * classes.width);
      for (let i = 0; i < inferenceSteps; i++) {
        const t = new Float32Array(batchSize).fill(i / inferenceSteps);
        z = (await call("step", { features: features!, z, t })).next as Float32Array;
      }
      return (await call("nearest", { z })).scores as Float32Array;
    },
  };
}
