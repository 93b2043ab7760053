import { type DenoisingNetwork, plainContext, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, constant, input, mean, mul } from "../../tensor/index.ts";
import { type Classifier, classAccuracy, type Unit } from "../../train/index.ts";
import {
  discreteBlock,
  distanceReadout,
  drawNormal,
  imagesInput,
  meanEmbedding,
  noisy,
  outputLoss,
  owned,
  priorDivergence,
  squaredDistance,
  walkNoise,
} from "./common.ts";
import { type ClassTable, embed } from "./embeddings.ts";
import { cosineAlphaBars, signalToNoise, stepCoefficients } from "./schedule.ts";

export interface NoPropDiscreteOptions {
  /** T, the number of blocks. */
  readonly numSteps?: number;
  /** η, the weight of the denoising term. */
  readonly eta?: number;
}

/**
 * NoProp-DT (Li, Teh, Pascanu 2025): T blocks, each a whole network; block t learns alone to predict the clean label embedding u_y from z_{t−1} and the image,
 * (T/2) η (SNR(t) − SNR(t−1)) ‖û_t(z_{t−1}, x) − u_y‖² (Eq. 8). Prediction walks z_0 ~ N(0, I) through all blocks.
 *
 * With the fixed one-hot table nothing is shared: the output layer reads z_T, which no block makes in training, and belongs to the last block. A learned table and the output
 * layer are trained with every block's loss, so the blocks then go in turn.
 */
export function noPropDiscrete(
  network: DenoisingNetwork,
  classes: ClassTable,
  { numSteps = 10, eta = 0.1 }: NoPropDiscreteOptions = {},
): Classifier {
  const alphaBars = cosineAlphaBars(numSteps);
  const blocks = Array.from({ length: numSteps }, () => discreteBlock(network.discrete(classes.width)));
  const output = distanceReadout(classes);
  const isShared = classes.parameter !== undefined;
  const readout = owned(isShared ? "shared" : `step-${numSteps}`, { parts: { output, table: classes.parameter } });
  const units = blocks.map((block, i): Unit => {
    const name = `step-${i + 1}`;
    const hasReadout = isShared || i === numSteps - 1;
    return {
      name,
      trainable: new Map([...owned(name, block), ...(hasReadout ? readout : [])]),
      frozen: new Map(),
      constants: new Map(isShared ? [] : [["table", classes.table] as const]),
      numLayers: 1,
    };
  });

  return {
    name: "noprop-dt",
    inputType: network.inputType,
    units,
    independentUnits: !isShared,
    objective: (unit, { input: images, labels }, key) => {
      const t = units.indexOf(unit) + 1;
      const u = embed(classes, labels);
      const z = noisy(u, drawNormal(key, "noise", u.shape), alphaBars[t - 1]!);
      const logits = blocks[t - 1]!(z, images, trainingContext(fold(key, "dropout")));
      const weight = (numSteps / 2) * eta * (signalToNoise(alphaBars[t]!) - signalToNoise(alphaBars[t - 1]!));
      const denoising = mul(mean(squaredDistance(meanEmbedding(logits, classes), u)), weight);
      const metrics = { denoising, accuracy: classAccuracy(logits, labels) };
      if (!isShared && t < numSteps) return { loss: denoising, metrics };
      const last = noisy(u, drawNormal(key, "last noise", u.shape), alphaBars[numSteps]!);
      const bound = add(denoising, outputLoss(output(last), labels));
      return { loss: isShared ? add(bound, priorDivergence(u, constant([alphaBars[0]!], []))) : bound, metrics };
    },
    programs: (batchSize) => {
      const images = imagesInput(network, batchSize);
      const [z, epsilon] = [input("z", [batchSize, classes.width]), input("epsilon", [batchSize, classes.width])];
      const steps = blocks.map((block, i) => {
        const { a, b, c } = stepCoefficients(alphaBars[i]!, alphaBars[i + 1]!);
        const logits = block(z, images, plainContext);
        const next = add(add(mul(meanEmbedding(logits, classes), a), mul(z, b)), mul(epsilon, Math.sqrt(c)));
        return [
          [units[i]!.name, { next }],
          [`${units[i]!.name} alone`, { logits }],
        ] as const;
      });
      return { ...Object.fromEntries(steps.flat()), output: { logits: output(z) } };
    },
    predict: async (call, images, batchSize, key, unit) => {
      const noiseAt = (index: number): Float32Array => walkNoise(key, index, batchSize * classes.width);
      let z = noiseAt(0);
      if (unit !== undefined) return (await call(`${unit.name} alone`, { input: images, z })).logits as Float32Array;
      for (const [i, { name }] of units.entries())
        z = (await call(name, { input: images, z, epsilon: noiseAt(i + 1) })).next as Float32Array;
      return (await call("output", { z })).logits as Float32Array;
    },
  };
}
