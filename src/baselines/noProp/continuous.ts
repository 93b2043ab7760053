import { type NoPropNetwork, plainContext, stratifiedUniform, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, constant, mean, mul, random, reshape, sqrt, sub, type Tensor } from "../../tensor/index.ts";
import { type Classifier, classAccuracy, float32, independent, predictionProgram, standaloneUnit } from "../../train/index.ts";
import {
  distanceReadout,
  drawNormal,
  imageProgram,
  meanEmbedding,
  outputLoss,
  outputProgram,
  priorDivergence,
  samplingNoise,
  squaredDistance,
} from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";
import { learnedSchedule, posteriorSample, stepCoefficients } from "./schedule.ts";

export interface NoPropContinuousOptions {
  /** η, the weight of the denoising term. */
  readonly eta?: number;
  /** Steps of the reverse process at prediction. */
  readonly inferenceSteps?: number;
}

/**
 * NoProp-CT (Li, Teh, Pascanu 2025): one network û(z_t, x, t) for all times and a learned noise schedule, −ln p̂(y |
 * z_1) + KL(q(z_0 | y) ‖ N(0, I)) + ½ η E_t SNR′(t) ‖û(z_t, x, t) − u_y‖². Prediction makes the steps of NoProp-DT
 * over a regular grid of times.
 */
export function noPropContinuous(
  network: NoPropNetwork,
  classes: ClassTable,
  { eta = 1, inferenceSteps = 1000 }: NoPropContinuousOptions = {},
): Classifier {
  const { inputType, numClasses } = network;
  const paths = network.continuous(classes.width);
  const { image, label, time, joint, classifier } = paths;
  const schedule = learnedSchedule();
  const output = distanceReadout(classes);
  const parts = { image, label, time, joint, classifier, schedule, output, table: classes.parameter };
  const grid = Float32Array.from({ length: inferenceSteps + 1 }, (_, i) => i / inferenceSteps);

  const state = (batchSize: number) => float32(batchSize, classes.width);
  const imageFeatures = imageProgram(network, paths);
  const scheduleProgram = predictionProgram(
    "schedule",
    () => ({}),
    () => ({ gamma: schedule(constant(grid, [grid.length, 1])).gamma }),
  );
  const stepProgram = predictionProgram(
    "step",
    (batchSize) => ({
      features: float32(batchSize, network.features),
      z: state(batchSize),
      epsilon: state(batchSize),
      t: float32(batchSize),
      a: float32(),
      b: float32(),
      noise: float32(),
    }),
    ({ features, z, epsilon, t, a, b, noise }) => {
      const u = meanEmbedding(classifier(joint([features, label(z, plainContext), time(t)])), classes);
      return { next: posteriorSample({ u, z, epsilon }, { a, b, deviation: noise }) };
    },
  );
  const answer = outputProgram(classes, output);

  return {
    name: "noprop-ct",
    inputType,
    numClasses,
    isRandom: true,
    units: [standaloneUnit("network", { parts }, 1)],
    order: independent,
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
      const readout = outputLoss(output(noisyAt(u, drawNormal(key, "last noise", u.shape), end!)), labels);
      const prior = mean(priorDivergence(u, start!));
      return { loss: add(add(readout, prior), denoising), metrics: { denoising, accuracy: classAccuracy(logits, labels) } };
    },
    programs: [imageFeatures, scheduleProgram, stepProgram, answer],
    predict: async (call, input, batchSize, key) => {
      const { features } = await call(imageFeatures, { input });
      const { gamma } = await call(scheduleProgram, {});
      const alphaBars = Array.from(gamma, (value) => 1 / (1 + Math.exp(value)));
      let z = samplingNoise(key, 0, batchSize * classes.width);
      for (let i = 1; i <= inferenceSteps; i++) {
        const { a, b, c } = stepCoefficients(alphaBars[i - 1]!, alphaBars[i]!);
        const { next } = await call(stepProgram, {
          features,
          z,
          epsilon: samplingNoise(key, i, z.length),
          t: new Float32Array(batchSize).fill(grid[i - 1]!),
          a: Float32Array.of(a),
          b: Float32Array.of(b),
          noise: Float32Array.of(Math.sqrt(c)),
        });
        z = next;
      }
      return (await call(answer, { z })).logits;
    },
  };
}

/** √ᾱ u + √(1 − ᾱ) ε */
function noisyAt(u: Tensor, epsilon: Tensor, alphaBar: Tensor): Tensor {
  return add(mul(sqrt(alphaBar), u), mul(sqrt(sub(1, alphaBar)), epsilon));
}
