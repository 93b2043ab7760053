import { exampleInput } from "../inference/index.ts";
import {
  type ClassifierArchitecture,
  type ClassifierNetwork,
  type Context,
  type LayerMemory,
  plainConditioning,
  plainContext,
  throughLayers,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { add, crossEntropy, logSoftmax, mean, type Tensor } from "../tensor/index.ts";
import { type Classifier, classAccuracy, independent, predictionProgram, standaloneUnit } from "../train/index.ts";

/** Ordinary training: one unit, the gradient of the cross-entropy through all layers. */
export function endToEnd(architecture: ClassifierArchitecture): Classifier {
  return ensemble("end-to-end", architecture, ["network"]);
}

/** End-to-end training of the first `numLayers` layers only: the network that the training memory of one block would buy. */
export function shallowTwin(build: (numLayers: number) => ClassifierArchitecture, numLayers: number): Classifier {
  return { ...endToEnd(build(numLayers)), name: "shallow-twin" };
}

/**
 * As many shallow twins as there are blocks, each trained end to end from its own start, answering together by the sum of their
 * log-probabilities: what the layer evaluations, the parameters and the training memory of blocks buy without any
 * denoising. Blocks answer with the mean of their evidence, so this is the control for what that mean alone is
 * worth.
 */
export function twinEnsemble(build: (numLayers: number) => ClassifierArchitecture, numLayers: number, numTwins: number): Classifier {
  const names = Array.from({ length: numTwins }, (_, i) => `twin-${i}`);
  return ensemble("twin-ensemble", build(numLayers), names);
}

/** Networks that are trained independently, and answer together by the sum of their log-probabilities. */
function ensemble(name: string, architecture: ClassifierArchitecture, memberNames: readonly string[]): Classifier {
  const { inputType, numClasses, numLayers, epsilon } = architecture;
  const members = memberNames.map((member) => {
    const network = architecture.build(plainConditioning(epsilon));
    const { stem, layers, head } = network;
    const unit = standaloneUnit(member, { parts: { stem, layers, head } }, numLayers);
    const program = predictionProgram(
      member,
      (batchSize) => ({ input: inputType(batchSize) }),
      ({ input }) => ({ scores: logSoftmax(logitsOf(network, input, plainContext)) }),
    );
    return { unit, network, program };
  });
  const predict: Classifier["predict"] = async (call, input, _batchSize, _key, unit) => {
    let sum: Float32Array | undefined;
    for (const member of members) {
      if (unit !== undefined && member.unit !== unit) continue;
      const { scores } = await call(member.program, { input });
      sum = sum?.map((x, i) => x + scores[i]!) ?? scores;
    }
    return sum!;
  };
  return {
    name,
    inputType,
    numClasses,
    isRandom: false,
    units: members.map(({ unit }) => unit),
    order: independent,
    objective: (unit, batch, key, memory) => {
      const { network } = members.find((member) => member.unit === unit)!;
      const logits = logitsOf(network, batch.input, trainingContext(fold(key, "dropout")), memory);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: members.map(({ program }) => program),
    predict,
    exported: async () => ({
      blocks: [],
      whole: predictionProgram(
        "network",
        (batchSize) => ({ input: inputType(batchSize) }),
        (inputs, batchSize) => ({ logits: members.map(({ program }) => program.trace(inputs, batchSize).scores).reduce(add) }),
      ),
      about: { numClasses },
      example: async (call, batchSize, key) => {
        const input = exampleInput(inputType(batchSize), key);
        return { count: batchSize, inputs: { input }, outputs: { logits: await predict(call, input, batchSize, key) } };
      },
    }),
  };
}

/** Class logits of a whole network. */
function logitsOf({ stem, layers, head }: ClassifierNetwork, images: Tensor, context: Context, memory?: LayerMemory): Tensor {
  return head(throughLayers(layers, stem(images, undefined, context), context, memory), context);
}
