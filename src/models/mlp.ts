import { type Architecture, defineModule, initializers, type Layer, linear, type Network } from "../nn/index.ts";
import { relu, reshape, type Tensor } from "../tensor/index.ts";

export interface MlpOptions {
  readonly imageSize: number;
  readonly channels?: number;
  readonly numClasses: number;
  /** Units of each hidden layer. */
  readonly width: number;
  readonly numLayers: number;
}

/**
 * A plain multi-layer perceptron: flattened image, `numLayers` fully connected layers with ReLU, a linear classifier. Its layers are not residual, so it is for the
 * methods that train layer by layer and for end-to-end training; there is no seam for noise conditioning.
 */
export function mlpClassifier({ imageSize, channels = 3, numClasses, width, numLayers }: MlpOptions): Architecture {
  const inputs = channels * imageSize ** 2;
  const init = initializers.fanInUniform;
  return {
    name: "mlp",
    config: { imageSize, channels, numClasses, width, numLayers },
    numLayers,
    width,
    numClasses,
    epsilon: 1e-6,
    inputType: (batchSize) => ({ dtype: "float32", shape: [batchSize, channels, imageSize, imageSize] }),
    build: (): Network => {
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
