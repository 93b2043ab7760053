import {
  type ClassifierArchitecture,
  defineModule,
  initializers,
  layerNorm,
  linear,
  plainConditioning,
  trainingContext,
} from "../../nn/index.ts";
import { fold } from "../../random.ts";
import {
  add,
  cast,
  concat,
  constant,
  crossEntropy,
  div,
  equal,
  l2Normalize,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  reduceSum,
  reshape,
  sub,
  type Tensor,
} from "../../tensor/index.ts";
import { type Classifier, classAccuracy, ownedParameters, predictionProgram, sequential, type Unit } from "../../train/index.ts";
import { layerwise } from "../layerwise.ts";
import { tokenMean } from "./forwardForward.ts";

export interface ContrastiveOptions {
  /** τ of the contrastive softmax. */
  readonly temperature?: number;
  /** Added to the similarity of positive pairs, in the first layer and the last; between, it changes linearly. */
  readonly margins?: readonly [first: number, last: number];
}

/**
 * Contrastive Forward-Forward: each layer learns alone, on the features before it, to bring images of one class together (supervised
 * contrastive loss with a margin that falls with depth) on two views of the batch, the images and their mirror images; then a linear
 * readout learns on the finished layers. One unit for each layer and one for the readout.
 *
 * @see The contrastive Forward-Forward repository's losses.py and main_CFF.py; Khosla et al. 2020 for the loss.
 */
export function contrastiveForwardForward(
  architecture: ClassifierArchitecture,
  { temperature = 0.15, margins = [0.4, 0.1] }: ContrastiveOptions = {},
): Classifier {
  const { inputType, numLayers, numClasses, width, epsilon } = architecture;
  const network = architecture.build(plainConditioning(epsilon));
  const ranges = Array.from({ length: numLayers }, (_, i) => [i, i + 1] as const);
  const layers = layerwise(network, ranges, { unitName: (layer) => `layer-${layer}` });
  const parts = { norm: layerNorm(width, epsilon), classifier: linear(width, numClasses, { init: initializers.zeros }) };
  const readout = defineModule(parts, (state: Tensor) => parts.classifier(parts.norm(tokenMean(state))));
  const learners = ranges.map((_, layer): Unit => ({ ...layers.unit(layer), answersAlone: false }));
  const readoutUnit: Unit = {
    name: "readout",
    trainable: ownedParameters("readout", readout),
    frozen: new Map(layers.parameters.flatMap((own) => [...own])),
    constants: new Map(),
    layerEvaluations: numLayers,
  };
  const marginOf = (layer: number): number => margins[0] + ((margins[1] - margins[0]) * layer) / Math.max(1, numLayers - 1);
  const answer = (images: Tensor): Tensor => readout(layers.stateAfter(numLayers - 1, images));
  const program = predictionProgram(
    "network",
    (batchSize) => ({ input: inputType(batchSize) }),
    ({ input }) => ({ logits: answer(input) }),
  );

  return {
    name: "contrastive-ff",
    inputType,
    numClasses,
    isRandom: false,
    units: [...learners, readoutUnit],
    order: sequential,
    objective: (unit, { input: images, labels }, key) => {
      if (unit === readoutUnit) {
        const logits = answer(images);
        return { loss: mean(crossEntropy(logits, labels)), metrics: { accuracy: classAccuracy(logits, labels) } };
      }
      const layer = learners.indexOf(unit);
      const views = concat([images, mirrored(images)], 0);
      const state = layers.stateAfter(layer, views, trainingContext(fold(key, "dropout")));
      return {
        loss: supervisedContrastive(tokenMean(state), concat([labels, labels], 0), { temperature, margin: marginOf(layer) }),
        metrics: {},
      };
    },
    programs: [program],
    predict: async (call, input) => (await call(program, { input })).logits,
  };
}

/**
 * Supervised contrastive loss with margin: with S the cosine similarities of the rows, S ← min(S + margin, 1) for pairs of one class; the
 * mean over rows that have a partner of the mean over their partners of −ln softmax(S/τ) over all other rows.
 *
 * @param features [items, width].
 * @param labels int32 [items].
 */
export function supervisedContrastive(
  features: Tensor,
  labels: Tensor,
  { temperature, margin }: { temperature: number; margin: number },
): Tensor {
  const items = features.shape[0]!;
  const normal = l2Normalize(features);
  const cosines = matmul(normal, normal, { transB: true }); // [items, items]
  const self = constant(
    Float32Array.from({ length: items * items }, (_, i) => (i % items === Math.floor(i / items) ? 1 : 0)),
    [items, items],
  );
  const same = cast(equal(reshape(labels, [items, 1]), reshape(labels, [1, items])), "float32");
  const partners = sub(same, self);
  const raised = add(mul(partners, minimum(add(cosines, margin), 1)), mul(sub(1, partners), cosines));
  const logProbabilities = logSoftmax(sub(div(raised, temperature), mul(self, 1e9)), -1);
  const count = reduceSum(partners, -1);
  const ofRow = div(neg(reduceSum(mul(partners, logProbabilities), -1)), maximum(count, 1));
  const hasPartner = minimum(count, 1);
  return div(reduceSum(mul(ofRow, hasPartner)), maximum(reduceSum(hasPartner), 1));
}

/** Images with their columns in reverse: [batch, channels, height, width]. */
export function mirrored(images: Tensor): Tensor {
  const width = images.shape.at(-1)!;
  const exchange = constant(
    Float32Array.from({ length: width * width }, (_, i) => ((i % width) + Math.floor(i / width) === width - 1 ? 1 : 0)),
    [width, width],
  );
  return matmul(images, exchange);
}
