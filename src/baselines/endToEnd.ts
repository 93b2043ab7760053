import {
  type Architecture,
  type Context,
  type Network,
  namedParameters,
  plainConditioning,
  plainContext,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { crossEntropy, input, logSoftmax, mean, type Tensor } from "../tensor/index.ts";
import { type Classifier, classAccuracy, type Unit } from "../train/index.ts";

/** The parameters of a whole network as one unit. */
function networkUnit(name: string, network: Network, numLayers: number): Unit {
  const parts = { stem: network.stem, layers: network.layers, head: network.head };
  const named = [...namedParameters({ parts })].map(([path, tensor]) => [`${name}/${path}`, tensor] as const);
  return { name, trainable: new Map(named), frozen: new Map(), constants: new Map(), numLayers };
}

/** Class logits of the whole network. */
function logitsOf({ stem, layers, head }: Network, images: Tensor, context: Context, checkpointing = false): Tensor {
  return head(throughLayers(layers, stem(images, undefined, context), context, checkpointing), context);
}

/** Ordinary training: one unit, the gradient of the cross-entropy through all layers. */
export function endToEnd(architecture: Architecture): Classifier {
  return { ...ensemble(architecture, ["network"]), name: "end-to-end" };
}

/** End-to-end training of the first `numLayers` layers only: the network that the training memory of one block would buy. */
export function shallowTwin(build: (numLayers: number) => Architecture, numLayers: number): Classifier {
  return { ...endToEnd(build(numLayers)), name: "shallow-twin" };
}

/**
 * As many shallow twins as there are blocks, each trained end to end from its own start, answering together by the mean of their log-probabilities: what the layer evaluations, the parameters
 * and the training memory of blocks buy without any denoising. Blocks answer with the mean of their evidence, so this is the control for what that mean alone is worth.
 */
export function twinEnsemble(build: (numLayers: number) => Architecture, numLayers: number, numTwins: number): Classifier {
  const names = Array.from({ length: numTwins }, (_, i) => `twin-${i}`);
  return { ...ensemble(build(numLayers), names), name: "twin-ensemble" };
}

/** Networks that are trained independently, and answer together. */
function ensemble(architecture: Architecture, names: readonly string[]): Classifier {
  const members = names.map((name) => {
    const network = architecture.build(plainConditioning(architecture.epsilon));
    return { network, unit: networkUnit(name, network, architecture.numLayers) };
  });
  const units = members.map(({ unit }) => unit);
  return {
    name: "ensemble",
    inputType: architecture.inputType,
    units,
    independentUnits: true,
    objective: (unit, batch, key, { checkpointing }) => {
      const { network } = members[units.indexOf(unit)]!;
      const logits = logitsOf(network, batch.input, trainingContext(fold(key, "dropout")), checkpointing);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const images = input("input", shape, dtype);
      const scores = ({ network }: (typeof members)[number]): Tensor => logSoftmax(logitsOf(network, images, plainContext));
      return Object.fromEntries(members.map((member) => [member.unit.name, { scores: scores(member) }]));
    },
    predict: async (call, images, _batchSize, _key, unit) => {
      const asked = unit === undefined ? units : [unit];
      let sum: Float32Array | undefined;
      for (const { name } of asked) {
        const scores = (await call(name, { input: images })).scores as Float32Array;
        sum = sum?.map((x, i) => x + scores[i]!) ?? scores;
      }
      return sum!;
    },
  };
}
