import { type ClassifierArchitecture, plainConditioning, trainingContext } from "../../nn/index.ts";
import { fold } from "../../random.ts";
import {
  add,
  cast,
  concat,
  div,
  greater,
  mean,
  mul,
  reduceMean,
  reshape,
  sizeOf,
  slice,
  softplus,
  sqrt,
  square,
  sub,
  type Tensor,
} from "../../tensor/index.ts";
import { type Classifier, int32, predictionProgram, sequential } from "../../train/index.ts";
import { layerwise } from "../layerwise.ts";
import { type LabelWriting, writeLabel, wrongLabels } from "./labelledInput.ts";

export interface ForwardForwardOptions {
  /** The goodness at which an input counts as real as not. */
  readonly threshold?: number;
  readonly writing?: LabelWriting;
  /** Brightness of a written label, in units of the normalised images: by default 3 as pixels, 1 as a pattern. */
  readonly brightness?: number;
  /**
   * The goodness that decides: that of all layers but the first (Hinton 2022), or of the last alone, as the
   * contrastive repository has it.
   */
  readonly readout?: "sum" | "last";
}

/**
 * Forward-Forward (Hinton 2022), supervised: the label is written into the image; each layer learns alone to have a high goodness g, the
 * mean of squares of its features, for the right label, and a low one for a wrong label: softplus(θ − g⁺) + softplus(g⁻ − θ). Between
 * layers the state is brought to length √size, so that no layer reads the goodness of the one before. Where the state has tokens, the
 * goodness is that of their mean.
 *
 * Prediction tries every label and takes the one with the largest goodness: as many forward passes as there are classes.
 */
export function forwardForward(
  architecture: ClassifierArchitecture,
  { threshold = 2, writing = "pixels", brightness = writing === "pixels" ? 3 : 1, readout = "sum" }: ForwardForwardOptions = {},
): Classifier {
  const { inputType, numLayers, numClasses, epsilon } = architecture;
  const label = { numClasses, brightness, writing };
  const network = architecture.build(plainConditioning(epsilon));
  const ranges = Array.from({ length: numLayers }, (_, i) => [i, i + 1] as const);
  const layers = layerwise(network, ranges, { unitName: (layer) => `layer-${layer}`, between: unitLength });
  const units = ranges.map((_, layer) => layers.unit(layer));
  const counted = readout === "last" ? [numLayers - 1] : ranges.map((_, layer) => layer).slice(numLayers > 1 ? 1 : 0);

  /** The goodness of layers, added up, for images with labels. */
  const goodnessProgram = (name: string, summed: readonly number[]) =>
    predictionProgram(
      name,
      (batchSize) => ({ input: inputType(batchSize), labels: int32(batchSize) }),
      ({ input, labels }) => {
        const labelled = writeLabel(input, labels, label);
        return { goodness: summed.map((layer) => goodness(layers.stateAfter(layer, labelled))).reduce((a, b) => add(a, b)) };
      },
    );
  const layerPrograms = units.map(({ name }, layer) => goodnessProgram(name, [layer]));
  const networkProgram = goodnessProgram("network", counted);

  return {
    name: "forward-forward",
    inputType,
    numClasses,
    isRandom: false,
    units,
    order: sequential,
    objective: (unit, { input: images, labels }, key) => {
      const right = writeLabel(images, labels, label);
      const wrong = writeLabel(images, wrongLabels(labels, numClasses, fold(key, "negatives")), label);
      const state = layers.stateAfter(units.indexOf(unit), concat([right, wrong], 0), trainingContext(fold(key, "dropout")));
      const all = goodness(state); // [2 · batch]
      const batch = labels.shape[0]!;
      const [positive, negative] = [slice(all, 0, 0, batch), slice(all, 0, batch, 2 * batch)];
      const loss = mean(add(softplus(sub(threshold, positive)), softplus(sub(negative, threshold))));
      return { loss, metrics: { separated: mean(cast(greater(positive, negative), "float32")) } };
    },
    programs: [...layerPrograms, networkProgram],
    predict: async (call, input, batchSize, _key, unit) => {
      const program = unit === undefined ? networkProgram : layerPrograms[units.indexOf(unit)]!;
      const scores = new Float32Array(batchSize * numClasses);
      for (let k = 0; k < numClasses; k++) {
        const tried = await call(program, { input, labels: new Int32Array(batchSize).fill(k) });
        for (let n = 0; n < batchSize; n++) scores[n * numClasses + k] = tried.goodness[n]!;
      }
      return scores;
    },
  };
}

/** Mean of squares of the features: [batch, ..., width] -> [batch]; tokens are averaged first. */
export function goodness(state: Tensor): Tensor {
  return reduceMean(square(tokenMean(state)), -1);
}

/** [batch, tokens, width] -> [batch, width]; states without tokens as they are. */
export function tokenMean(state: Tensor): Tensor {
  return state.rank === 3 ? reduceMean(state, 1) : state;
}

/** Each item divided by its root mean square over all that it holds. */
function unitLength(state: Tensor): Tensor {
  const batch = state.shape[0]!;
  const flat = reshape(state, [batch, sizeOf(state.shape) / batch]);
  const rms = sqrt(add(reduceMean(mul(flat, flat), -1, true), 1e-8)); // [batch, 1]
  return reshape(div(flat, rms), state.shape);
}
