import { type Architecture, type Network, namedParameters, plainConditioning, plainContext, trainingContext } from "../nn/index.ts";
import { fold } from "../random.ts";
import { checkpoint, crossEntropy, input, mean, type Tensor } from "../tensor/index.ts";
import { classAccuracy, type TrainingMethod, type Unit } from "../train/index.ts";

/** The parameters of a whole network as one unit. */
function networkUnit(network: Network, numLayers: number): Unit {
  const parts = { stem: network.stem, layers: network.layers, head: network.head };
  const named = [...namedParameters({ parts })].map(([path, tensor]) => [`network/${path}`, tensor] as const);
  return { name: "network", trainable: new Map(named), frozen: new Map(), constants: new Map(), numLayers };
}

/** Ordinary training: one unit, the gradient of the cross-entropy through all layers. */
export function endToEnd(architecture: Architecture): TrainingMethod {
  const network = architecture.build(plainConditioning(architecture.epsilon));
  const unit = networkUnit(network, architecture.numLayers);
  return {
    name: "end-to-end",
    inputType: architecture.inputType,
    units: [unit],
    independentUnits: true,
    objective: (_, batch, key, { checkpointing }) => {
      const context = trainingContext(fold(key, "dropout"));
      const apply = (h: Tensor, layer: (typeof network.layers)[number]): Tensor =>
        checkpointing ? checkpoint(layer)(h, context) : layer(h, context);
      const state = network.layers.reduce(apply, network.stem(batch.input, undefined, context));
      const logits = network.head(state, context);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const state = network.layers.reduce(
        (h, layer) => layer(h, plainContext),
        network.stem(input("input", shape, dtype), undefined, plainContext),
      );
      return { network: { logits: network.head(state, plainContext) } };
    },
    predict: async (call, images) => (await call("network", { input: images })).logits as Float32Array,
  };
}

/** End-to-end training of the first `numLayers` layers only: the network that the training memory of one block would buy. */
export function shallowTwin(build: (numLayers: number) => Architecture, numLayers: number): TrainingMethod {
  return { ...endToEnd(build(numLayers)), name: "shallow twin" };
}
