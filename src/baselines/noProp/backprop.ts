import { type Context, type DenoisingNetwork, defineModule, plainContext, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import { add, checkpoint, input, mul, parameter, sub, type Tensor, tanh } from "../../tensor/index.ts";
import { type Classifier, classAccuracy, type Unit } from "../../train/index.ts";
import { discreteBlock, distanceReadout, drawNormal, imagesInput, meanEmbedding, outputLoss, owned, walkNoise } from "./common.ts";
import type { ClassTable } from "./embeddings.ts";

export interface NoPropBackpropOptions {
  /** T, the number of blocks. */
  readonly numSteps?: number;
}

/**
 * NoProp's baseline: the blocks of NoProp-DT trained end to end, z_t = (1 − α_t) z_{t−1} + α_t û_t(z_{t−1}, x) with α_t = tanh(w_t) learned (½ at the start), z_0 ~ N(0, I), and the
 * cross-entropy of the output layer on z_T.
 */
export function noPropBackprop(network: DenoisingNetwork, classes: ClassTable, { numSteps = 10 }: NoPropBackpropOptions = {}): Classifier {
  const steps = Array.from({ length: numSteps }, () => {
    const block = discreteBlock(network.discrete(classes.width));
    const rate = parameter([1], { name: "atanh ½", fill: (out) => void out.fill(Math.atanh(0.5)) });
    return defineModule({ block, rate }, (z: Tensor, images: Tensor, context: Context) => {
      const alpha = tanh(rate);
      return add(mul(sub(1, alpha), z), mul(alpha, meanEmbedding(block(z, images, context), classes)));
    });
  });
  const output = distanceReadout(classes);
  const unit: Unit = {
    name: "network",
    trainable: owned("network", defineModule({ steps, output, table: classes.parameter }, {})),
    frozen: new Map(),
    constants: new Map(),
    numLayers: numSteps,
  };

  return {
    name: "backprop",
    inputType: network.inputType,
    units: [unit],
    independentUnits: true,
    objective: (_, { input: images, labels }, key, { checkpointing }) => {
      const context = trainingContext(fold(key, "dropout"));
      const start = drawNormal(key, "noise", [labels.shape[0]!, classes.width]);
      const end = steps.reduce((z, step) => (checkpointing ? checkpoint(step)(z, images, context) : step(z, images, context)), start);
      const logits = output(end);
      return { loss: outputLoss(logits, labels), metrics: { accuracy: classAccuracy(logits, labels) } };
    },
    programs: (batchSize) => {
      const images = imagesInput(network, batchSize);
      const end = steps.reduce((z, step) => step(z, images, plainContext), input("z", [batchSize, classes.width]));
      return { network: { logits: output(end) } };
    },
    predict: async (call, images, batchSize, key) =>
      (await call("network", { input: images, z: walkNoise(key, 0, batchSize * classes.width) })).logits as Float32Array,
  };
}
