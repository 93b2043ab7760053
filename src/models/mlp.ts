import { z } from "zod";
import { count, defineModel, type ImageData, type ModelDefinition, option, plainClassifierKind } from "../define/index.ts";
import { type ClassifierArchitecture, type ClassifierNetwork, defineModule, initializers, type Layer, linear } from "../nn/index.ts";
import { classes } from "../tasks/index.ts";
import { relu, reshape, type Tensor } from "../tensor/index.ts";
import { type ImageSizes, splitOptions } from "./options.ts";

/** The options of a multi-layer perceptron. */
export const mlpOptions = z.strictObject({
  width: option(count, { description: "units of each hidden layer" }).default(1000),
  numLayers: option(count, { flag: "layers", description: "hidden layers" }).default(2),
});

/** Options of a multi-layer perceptron, and what it knows of the images: 3 channels by default. */
export type MlpOptions = z.input<typeof mlpOptions> & ImageSizes;

/**
 * A plain multi-layer perceptron: flattened image, `numLayers` fully connected layers with ReLU, a linear classifier.
 * Its layers are not residual, so it is for the methods that train layer by layer and for end-to-end training; there
 * is no seam for noise conditioning.
 */
export function mlpClassifier(options: MlpOptions): ClassifierArchitecture {
  const { sizes, config } = splitOptions("mlp", mlpOptions, options);
  const { imageSize, channels, numClasses } = sizes;
  const { width, numLayers } = config;
  const inputs = channels * imageSize ** 2;
  const init = initializers.fanInUniform;
  return {
    name: "mlp",
    numLayers,
    width,
    numClasses,
    epsilon: 1e-6,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    build: (): ClassifierNetwork => {
      const classifier = linear(width, numClasses, { init: initializers.zeros });
      return {
        stem: defineModule({}, (images: Tensor) => reshape(images, [images.shape[0]!, inputs])),
        layers: Array.from({ length: numLayers }, (_, i): Layer => {
          const dense = linear(i === 0 ? inputs : width, width, { init });
          return defineModule({ dense }, (h: Tensor) => relu(dense(h)));
        }),
        head: defineModule({ classifier }, (h: Tensor) => classifier(h)),
      };
    },
  };
}

export const mlpModel: ModelDefinition<z.output<typeof mlpOptions>, ClassifierArchitecture, ImageData> = defineModel({
  name: "mlp",
  summary: "multi-layer perceptron that classifies images",
  kind: plainClassifierKind,
  task: classes,
  schema: mlpOptions,
  compared: ["end-to-end", "checkpointing", "greedy", "forward-forward", "shallow-twin"],
  defaults: { method: "end-to-end", training: { epochs: 60, batchSize: 100, learningRate: 2e-3 }, data: { augmentation: "none" } },
  build: (options, images) => mlpClassifier({ ...options, ...images }),
});
