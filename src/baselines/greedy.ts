import { type ClassifierArchitecture, plainConditioning, plainContext, trainingContext } from "../nn/index.ts";
import { fold } from "../random.ts";
import { crossEntropy, mean, type Tensor } from "../tensor/index.ts";
import { assignLayers, type Classifier, classAccuracy, ownedParameters, predictionProgram, sequential } from "../train/index.ts";
import { layerwise } from "./layerwise.ts";

export interface GreedyOptions {
  /** Number of groups of layers that are trained one after another: as many as blocks, for the same training memory. */
  readonly numGroups: number;
  readonly layersPerGroup?: readonly number[] | undefined;
  /** `last`: the last group answers. `ensemble`: all do, group j with the weight 2^j (Belilovsky et al. 2019). */
  readonly readout?: "last" | "ensemble";
}

/**
 * Greedy layer-wise training with auxiliary classifiers (Belilovsky et al. 2019): group j learns, with a classifier
 * of its own that is the architecture's head, from the features of the groups before it, which are finished and run
 * without dropout. In the interleaved schedule all groups move along together without gradients between them, which
 * is decoupled greedy learning.
 *
 * @throws {PartitionError} if the layers cannot be grouped.
 */
export function greedy(architecture: ClassifierArchitecture, { numGroups, layersPerGroup, readout = "last" }: GreedyOptions): Classifier {
  const { inputType, numClasses, numLayers, epsilon } = architecture;
  const ranges = assignLayers(numLayers, numGroups, layersPerGroup);
  const networks = ranges.map(() => architecture.build(plainConditioning(epsilon)));
  const heads = networks.map(({ head }) => head);
  const unitName = (group: number): string => `group-${group}`;
  const { unit: unitOf, stateAfter } = layerwise(networks[0]!, ranges, { unitName });
  const units = heads.map((head, group) => unitOf(group, ownedParameters(unitName(group), { parts: { head } })));

  const inputs = (batchSize: number) => ({ input: inputType(batchSize) });
  const answer = (group: number, images: Tensor): Tensor => heads[group]!(stateAfter(group, images), plainContext);
  const groupPrograms = units.map(({ name }, group) => predictionProgram(name, inputs, ({ input }) => ({ logits: answer(group, input) })));
  const ensembleProgram = predictionProgram("ensemble", inputs, ({ input }) =>
    Object.fromEntries(units.map(({ name }, group) => [name, answer(group, input)])),
  );

  return {
    name: "greedy",
    inputType,
    numClasses,
    isRandom: false,
    units,
    order: sequential,
    objective: (unit, batch, key, memory) => {
      const group = units.indexOf(unit);
      const context = trainingContext(fold(key, "dropout"));
      const logits = heads[group]!(stateAfter(group, batch.input, context, memory), context);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: [...groupPrograms, ensembleProgram],
    predict: async (call, input, _batchSize, _key, unit = readout === "last" ? units.at(-1) : undefined) => {
      if (unit !== undefined) return (await call(groupPrograms[units.indexOf(unit)]!, { input })).logits;
      const answers = await call(ensembleProgram, { input });
      return weightedLogProbabilities(
        units.map(({ name }) => answers[name]!),
        numClasses,
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
