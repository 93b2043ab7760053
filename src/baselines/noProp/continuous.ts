import { type DenoisingNetwork, defineModule, plainContext, stratifiedUniform, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, constant, input, mean, mul, random, reshape, sqrt, sub, type Tensor } from "../../tensor/index.ts";
import { type Classifier, classAccuracy, type Unit } from "../../train/index.ts";
import {
  distanceReadout,
  drawNormal,
  imagesInput,
  meanEmbedding,
  outputLoss,
  owned,
  priorDivergence,
  squaredDistance,
  walkNoise,
} from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";
import { learnedSchedule, stepCoefficients } from "./schedule.ts";

export interface NoPropContinuousOptions {
  /** η, the weight of the denoising term. */
  readonly eta?: number;
  /** Steps of the walk at prediction. */
  readonly inferenceSteps?: number;
}

/**
 * NoProp-CT (Li, Teh, Pascanu 2025): one network û(z_t, x, t) for all times and a learned noise schedule,
 * −ln p̂(y | z_1) + KL(q(z_0 | y) ‖ N(0, I)) + ½ η E_t SNR′(t) ‖û(z_t, x, t) − u_y‖². Prediction walks with the update of NoProp-DT over a regular grid of times.
 */
export function noPropContinuous(
  network: DenoisingNetwork,
  classes: ClassTable,
  { eta = 1, inferenceSteps = 1000 }: NoPropContinuousOptions = {},
): Classifier {
  const { image, label, time, joint, classifier } = network.continuous(classes.width);
  const schedule = learnedSchedule();
  const output = distanceReadout(classes);
  const parts = { image, label, time, joint, classifier, schedule, output, table: classes.parameter };
  const unit: Unit = {
    name: "network",
    trainable: owned("network", defineModule(parts, {})),
    frozen: new Map(),
    constants: new Map(),
    numLayers: 1,
  };
  const grid = Float32Array.from({ length: inferenceSteps + 1 }, (_, i) => i / inferenceSteps);

  return {
    name: "noprop-ct",
    inputType: network.inputType,
    units: [unit],
    independentUnits: true,
    objective: (_, { input: images, labels }, key) => {
      const context = trainingContext(fold(key, "dropout"));
      const batch = labels.shape[0]!;
      const u = embed(classes, labels);
      const t = random(fold(key, "time"), stratifiedUniform, [batch]);
      const at = schedule(reshape(t, [batch, 1]));
      const z = noisyAt(u, drawNormal(key, "noise", u.shape), at.alphaBar);
      const logits = classifier(joint([image(images, context), label(z, context), time(t)]));
      const distance = squaredDistance(meanEmbedding(logits, classes), u);
      const denoising = mul(mean(mul(reshape(at.slope, [batch]), distance)), eta / 2);
      const [start, end] = [0, 1].map((when) => schedule(constant([when], [1, 1])).alphaBar);
      const answer = outputLoss(output(noisyAt(u, drawNormal(key, "last noise", u.shape), end!)), labels);
      const prior = mean(priorDivergence(u, start!));
      return { loss: add(add(answer, prior), denoising), metrics: { denoising, accuracy: classAccuracy(logits, labels) } };
    },
    programs: (batchSize) => {
      const state = [batchSize, classes.width];
      const [z, epsilon, t] = [input("z", state), input("epsilon", state), input("t", [batchSize])];
      const features = input("features", [batchSize, network.features]);
      const [a, b, noise] = ["a", "b", "noise"].map((name) => input(name, []));
      const logits = classifier(joint([features, label(z, plainContext), time(t)]));
      return {
        image: { features: image(imagesInput(network, batchSize), plainContext) },
        schedule: { gamma: schedule(constant(grid, [grid.length, 1])).gamma },
        step: { next: add(add(mul(a!, meanEmbedding(logits, classes)), mul(b!, z)), mul(noise!, epsilon)) },
        output: { logits: output(z) },
      };
    },
    predict: async (call, images, batchSize, key) => {
      const { features } = await call("image", { input: images });
      const { gamma } = await call("schedule", {});
      const alphaBars = Array.from(gamma as Float32Array, (value) => 1 / (1 + Math.exp(value)));
      let z = walkNoise(key, 0, batchSize * classes.width);
      for (let i = 1; i <= inferenceSteps; i++) {
        const { a, b, c } = stepCoefficients(alphaBars[i - 1]!, alphaBars[i]!);
        const { next } = await call("step", {
          features: features!,
          z,
          epsilon: walkNoise(key, i, z.length),
          t: new Float32Array(batchSize).fill(grid[i - 1]!),
          a: Float32Array.of(a),
          b: Float32Array.of(b),
          noise: Float32Array.of(Math.sqrt(c)),
        });
        z = next as Float32Array;
      }
      return (await call("output", { z })).logits as Float32Array;
    },
  };
}

/** √ᾱ u + √(1 − ᾱ) ε */
function noisyAt(u: Tensor, epsilon: Tensor, alphaBar: Tensor): Tensor {
  return add(mul(sqrt(alphaBar), u), mul(sqrt(sub(1, alphaBar)), epsilon));
}
