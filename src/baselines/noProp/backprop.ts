import {
  type Context,
  defineModule,
  type NoPropNetwork,
  plainContext,
  type Stage,
  throughStages,
  trainingContext,
} from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, mul, parameter, sub, type Tensor, tanh } from "../../tensor/index.ts";
import { type Classifier, classAccuracy, float32, independent, predictionProgram, standaloneUnit } from "../../train/index.ts";
import { discreteBlock, distanceReadout, drawNormal, meanEmbedding, outputLoss, samplingNoise } from "./common.ts";
import type { ClassTable } from "./embeddings.ts";

export interface NoPropBackpropOptions {
  /** T, the number of blocks. */
  readonly numSteps?: number;
}

/**
 * NoProp's baseline: the blocks of NoProp-DT trained end to end, z_t = (1 − α_t) z_{t−1} + α_t û_t(z_{t−1}, x) with
 * α_t = tanh(w_t) learned (½ at the start), z_0 ~ N(0, I), and the cross-entropy of the output layer on z_T.
 */
export function noPropBackprop(network: NoPropNetwork, classes: ClassTable, { numSteps = 10 }: NoPropBackpropOptions = {}): Classifier {
  const { inputType, numClasses } = network;
  const steps = Array.from({ length: numSteps }, () => {
    const block = discreteBlock(network.discrete(classes.width));
    const rate = parameter([1], { name: "atanh ½", fill: (out) => void out.fill(Math.atanh(0.5)) });
    return defineModule({ block, rate }, (z: Tensor, images: Tensor, context: Context) => {
      const alpha = tanh(rate);
      return add(mul(sub(1, alpha), z), mul(alpha, meanEmbedding(block(z, images, context), classes)));
    });
  });
  const output = distanceReadout(classes);
  const program = predictionProgram(
    "network",
    (batchSize) => ({ input: inputType(batchSize), z: float32(batchSize, classes.width) }),
    ({ input, z }) => ({ logits: output(steps.reduce((state, step) => step(state, input, plainContext), z)) }),
  );

  return {
    name: "backprop",
    inputType,
    numClasses,
    isRandom: true,
    units: [standaloneUnit("network", { parts: { steps, output, table: classes.parameter } }, numSteps)],
    order: independent,
    objective: (_, { input: images, labels }, key, memory) => {
      const context = trainingContext(fold(key, "dropout"));
      const start = drawNormal(key, "noise", [labels.shape[0]!, classes.width]);
      const stages = steps.map(
        (step): Stage =>
          ([z], [own]) => [step(z!, own!, context)],
      );
      const [end] = throughStages(stages, { states: [start], items: [images] }, memory) as [Tensor];
      const logits = output(end);
      return { loss: outputLoss(logits, labels), metrics: { accuracy: classAccuracy(logits, labels) } };
    },
    programs: [program],
    predict: async (call, input, batchSize, key) =>
      (await call(program, { input, z: samplingNoise(key, 0, batchSize * classes.width) })).logits,
  };
}
