import { type NoPropNetwork, plainContext, stratifiedUniform, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, matmul, mean, mul, neg, random, reshape, sub, type Tensor } from "../../tensor/index.ts";
import { type Classifier, float32, independent, predictionProgram, standaloneUnit } from "../../train/index.ts";
import { distanceReadout, distances, drawNormal, imageProgram, outputLoss, samplingNoise, squaredDistance } from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";

export interface NoPropFlowOptions {
  /** Euler steps at prediction. */
  readonly inferenceSteps?: number;
}

/**
 * NoProp-FM (Li, Teh, Pascanu 2025): flow matching from noise z_0 to the label embedding z_1 = u_y along z_t = t z_1
 * + (1 − t) z_0: ‖v(z_t, x, t) − (z_1 − z_0)‖² with v = logits · table; a learned table adds −ln p̂(y | z_t + (1 −
 * t) v). Prediction integrates v from noise by Euler's method and answers with the nearest class embedding.
 */
export function noPropFlow(network: NoPropNetwork, classes: ClassTable, { inferenceSteps = 1000 }: NoPropFlowOptions = {}): Classifier {
  const { inputType, numClasses } = network;
  const paths = network.continuous(classes.width);
  const { image, label, time, joint, classifier } = paths;
  const output = classes.parameter && distanceReadout(classes);
  const parts = { image, label, time, joint, classifier, output, table: classes.parameter };
  const velocity = (imageFeatures: Tensor, z: Tensor, t: Tensor, context = plainContext): Tensor =>
    matmul(classifier(joint([imageFeatures, label(z, context), time(t)])), classes.table);

  const state = (batchSize: number) => float32(batchSize, classes.width);
  const imageFeatures = imageProgram(network, paths);
  const stepProgram = predictionProgram(
    "step",
    (batchSize) => ({ features: float32(batchSize, network.features), z: state(batchSize), t: float32(batchSize) }),
    ({ features, z, t }) => ({ next: add(z, mul(velocity(features, z, t), 1 / inferenceSteps)) }),
  );
  const nearestProgram = predictionProgram(
    "nearest",
    (batchSize) => ({ z: state(batchSize) }),
    ({ z }) => ({ scores: neg(distances(z, classes)) }),
  );

  return {
    name: "noprop-fm",
    inputType,
    numClasses,
    isRandom: true,
    units: [standaloneUnit("network", { parts }, 1)],
    order: independent,
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
    programs: [imageFeatures, stepProgram, nearestProgram],
    predict: async (call, input, batchSize, key) => {
      const { features } = await call(imageFeatures, { input });
      let z = samplingNoise(key, 0, batchSize * classes.width);
      for (let i = 0; i < inferenceSteps; i++) {
        const t = new Float32Array(batchSize).fill(i / inferenceSteps);
        z = (await call(stepProgram, { features, z, t })).next;
      }
      return (await call(nearestProgram, { z })).scores;
    },
  };
}
