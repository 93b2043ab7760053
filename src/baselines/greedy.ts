import {
  type Architecture,
  type Context,
  type Layer,
  namedParameters,
  plainConditioning,
  plainContext,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { checkpoint, crossEntropy, input, mean, type Tensor } from "../tensor/index.ts";
import { assignLayers, type Classifier, classAccuracy } from "../train/index.ts";
import { type LayerCall, layerwise } from "./layerwise.ts";

export interface GreedyOptions {
  /** How many groups of layers are trained one after another: as many as blocks, for the same training memory. */
  readonly numGroups: number;
  readonly layersPerGroup?: readonly number[] | undefined;
  /** `last`: the last group answers. `ensemble`: all do, group j with the weight 2^j (Belilovsky et al. 2019). */
  readonly readout?: "last" | "ensemble";
}

/**
 * Greedy layer-wise training with auxiliary classifiers (Belilovsky et al. 2019): group j learns, with a classifier of its own that is the architecture's
 * head, from the features of the groups before it, which are finished and run without dropout. In the interleaved schedule all groups move along
 * together without gradients between them, which is decoupled greedy learning.
 *
 * @throws {PartitionError} if the layers cannot be grouped.
 */
export function greedy(architecture: Architecture, { numGroups, layersPerGroup, readout = "last" }: GreedyOptions): Classifier {
  const ranges = assignLayers(architecture.numLayers, numGroups, layersPerGroup);
  const networks = ranges.map(() => architecture.build(plainConditioning(architecture.epsilon)));
  const heads = networks.map(({ head }) => head);
  const unitName = (group: number): string => `group-${group}`;
  const { unit: unitOf, stateAfter } = layerwise(networks[0]!, ranges, { unitName });
  const units = heads.map((head, group) => {
    const named = [...namedParameters({ parts: { head } })].map(([path, tensor]) => [`${unitName(group)}/${path}`, tensor] as const);
    return unitOf(group, new Map(named));
  });

  return {
    name: "greedy",
    inputType: architecture.inputType,
    units,
    independentUnits: false,
    inOrder: true,
    objective: (unit, batch, key, { checkpointing }) => {
      const group = units.indexOf(unit);
      const context = trainingContext(fold(key, "dropout"));
      const run = (layer: Layer): LayerCall => (checkpointing ? checkpoint<[Tensor, Context], Tensor>(layer) : layer);
      const logits = heads[group]!(stateAfter(group, batch.input, context, run), context);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const images = input("input", shape, dtype);
      const logits = heads.map((head, group) => head(stateAfter(group, images), plainContext));
      return {
        ...Object.fromEntries(units.map(({ name }, group) => [name, { logits: logits[group]! }])),
        ensemble: Object.fromEntries(units.map(({ name }, group) => [name, logits[group]!])),
      };
    },
    predict: async (call, images, _batchSize, _key, unit) => {
      if (unit !== undefined || readout === "last")
        return (await call((unit ?? units.at(-1)!).name, { input: images })).logits as Float32Array;
      const answers = await call("ensemble", { input: images });
      return weightedLogProbabilities(
        units.map(({ name }) => answers[name] as Float32Array),
        architecture.numClasses,
      );
    },
  };
}

/** ln Σ_j w_j softmax(logits_j), w_j in proportion to 2^j. */
function weightedLogProbabilities(logits: readonly Float32Array[], numClasses: number): Float32Array {
  const total = 2 ** logits.length - 1;
  const mixture = new Float32Array(logits[0]!.length);
  for (const [j, scores] of logits.entries()) {
    for (let row = 0; row < scores.length; row += numClasses) {
      const values = scores.subarray(row, row + numClasses);
      const top = values.reduce((a, b) => Math.max(a, b));
      const sum = values.reduce((acc, x) => acc + Math.exp(x - top), 0);
      for (let k = 0; k < numClasses; k++) mixture[row + k]! += ((2 ** j / total) * Math.exp(values[k]! - top)) / sum;
    }
  }
  return mixture.map(Math.log);
}
