import { type NoPropNetwork, plainContext, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, constant, mean, mul } from "../../tensor/index.ts";
import {
  type Classifier,
  classAccuracy,
  float32,
  independent,
  interleaved,
  ownedParameters,
  predictionProgram,
  type Unit,
} from "../../train/index.ts";
import {
  discreteBlock,
  distanceReadout,
  drawNormal,
  meanEmbedding,
  noisy,
  outputLoss,
  outputProgram,
  priorDivergence,
  samplingNoise,
  squaredDistance,
} from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";
import { cosineAlphaBars, posteriorSample, signalToNoise, stepCoefficients } from "./schedule.ts";

export interface NoPropDiscreteOptions {
  /** T, the number of blocks. */
  readonly numSteps?: number;
  /** η, the weight of the denoising term. */
  readonly eta?: number;
}

/**
 * NoProp-DT (Li, Teh, Pascanu 2025): T blocks, each a whole network; block t learns alone to predict the clean label embedding u_y from
 * z_{t−1} and the image, (T/2) η (SNR(t) − SNR(t−1)) ‖û_t(z_{t−1}, x) − u_y‖² (Eq. 8). Prediction brings z_0 ~ N(0,
 * I) through all blocks.
 *
 * With the fixed one-hot table nothing is shared: the output layer reads z_T, which no block makes in training, and belongs to the last
 * block. A learned table and the output layer are trained with every block's loss, so the blocks are then interleaved.
 */
export function noPropDiscrete(
  network: NoPropNetwork,
  classes: ClassTable,
  { numSteps = 10, eta = 0.1 }: NoPropDiscreteOptions = {},
): Classifier {
  const { inputType, numClasses } = network;
  const alphaBars = cosineAlphaBars(numSteps);
  const output = distanceReadout(classes);
  const isShared = classes.parameter !== undefined;
  const readout = ownedParameters(isShared ? "shared" : `step-${numSteps}`, { parts: { output, table: classes.parameter } });
  const state = (batchSize: number) => float32(batchSize, classes.width);

  const steps = Array.from({ length: numSteps }, (_, i) => {
    const name = `step-${i + 1}`;
    const block = discreteBlock(network.discrete(classes.width));
    const unit: Unit = {
      name,
      trainable: new Map([...ownedParameters(name, block), ...(isShared || i === numSteps - 1 ? readout : [])]),
      frozen: new Map(),
      constants: new Map(isShared ? [] : [["table", classes.table] as const]),
      layerEvaluations: 1,
    };
    const { a, b, c } = stepCoefficients(alphaBars[i]!, alphaBars[i + 1]!);
    const next = predictionProgram(
      name,
      (batchSize) => ({ input: inputType(batchSize), z: state(batchSize), epsilon: state(batchSize) }),
      ({ input, z, epsilon }) => {
        const u = meanEmbedding(block(z, input, plainContext), classes);
        return { next: posteriorSample({ u, z, epsilon }, { a, b, deviation: Math.sqrt(c) }) };
      },
    );
    const alone = predictionProgram(
      `${name} alone`,
      (batchSize) => ({ input: inputType(batchSize), z: state(batchSize) }),
      ({ input, z }) => ({ logits: block(z, input, plainContext) }),
    );
    return { unit, block, next, alone };
  });
  const answer = outputProgram(classes, output);

  return {
    name: "noprop-dt",
    inputType,
    numClasses,
    isRandom: true,
    units: steps.map(({ unit }) => unit),
    order: isShared ? interleaved() : independent,
    objective: (unit, { input: images, labels }, key) => {
      const i = steps.findIndex((step) => step.unit === unit);
      const [before, after] = [alphaBars[i]!, alphaBars[i + 1]!];
      const u = embed(classes, labels);
      const z = noisy(u, drawNormal(key, "noise", u.shape), before);
      const logits = steps[i]!.block(z, images, trainingContext(fold(key, "dropout")));
      const weight = (numSteps / 2) * eta * (signalToNoise(after) - signalToNoise(before));
      const denoising = mul(mean(squaredDistance(meanEmbedding(logits, classes), u)), weight);
      const metrics = { denoising, accuracy: classAccuracy(logits, labels) };
      if (!isShared && i < numSteps - 1) return { loss: denoising, metrics };
      const last = noisy(u, drawNormal(key, "last noise", u.shape), alphaBars[numSteps]!);
      const bound = add(denoising, outputLoss(output(last), labels));
      return { loss: isShared ? add(bound, priorDivergence(u, constant([alphaBars[0]!], []))) : bound, metrics };
    },
    programs: [...steps.flatMap(({ next, alone }) => [next, alone]), answer],
    predict: async (call, input, batchSize, key, unit) => {
      const noise = (index: number): Float32Array => samplingNoise(key, index, batchSize * classes.width);
      let z = noise(0);
      const alone = steps.find((step) => step.unit === unit)?.alone;
      if (alone !== undefined) return (await call(alone, { input, z })).logits;
      for (const [i, { next }] of steps.entries()) z = (await call(next, { input, z, epsilon: noise(i + 1) })).next;
      return (await call(answer, { z })).logits;
    },
  };
}
