import {
  type Architecture,
  type Context,
  type Layer,
  namedParameters,
  type Parts,
  plainConditioning,
  plainContext,
  trainingContext,
} from "../nn/index.ts";
import { fold } from "../random.ts";
import { checkpoint, crossEntropy, input, mean, type Tensor } from "../tensor/index.ts";
import { assignLayers, classAccuracy, type TrainingMethod, type Unit } from "../train/index.ts";

export interface GreedyOptions {
  /** How many groups of layers are trained one after another: as many as blocks, for the same training memory. */
  readonly numGroups: number;
  readonly layersPerGroup?: readonly number[] | undefined;
  /** `last`: the last group answers. `ensemble`: all do, group j with the weight 2^j (Belilovsky et al. 2019). */
  readonly readout?: "last" | "ensemble";
}

type Step = (h: Tensor, context: Context) => Tensor;

/**
 * Greedy layer-wise training with auxiliary classifiers (Belilovsky et al. 2019): group j learns, with a classifier of its own that is the architecture's
 * head, from the features of the groups before it, which are finished and run without dropout. In the interleaved schedule all groups move along
 * together without gradients between them, which is decoupled greedy learning.
 *
 * @throws {PartitionError} if the layers cannot be grouped.
 */
export function greedy(architecture: Architecture, { numGroups, layersPerGroup, readout = "last" }: GreedyOptions): TrainingMethod {
  const ranges = assignLayers(architecture.numLayers, numGroups, layersPerGroup);
  const networks = ranges.map(() => architecture.build(plainConditioning(architecture.epsilon)));
  const { stem, layers } = networks[0]!;
  const heads = networks.map(({ head }) => head);

  const own = ranges.map(([first, end], group) => {
    const features = {
      ...(group === 0 && { stem }),
      layers: { parts: Object.fromEntries(layers.slice(first, end).map((layer, i) => [first + i, layer])) },
    };
    return { features: named(`group-${group}`, features), head: named(`group-${group}`, { head: heads[group]! }) };
  });
  const units = ranges.map(
    ([, end], group): Unit => ({
      name: `group-${group}`,
      trainable: new Map([...own[group]!.features, ...own[group]!.head]),
      frozen: new Map(own.slice(0, group).flatMap(({ features }) => [...features])),
      constants: new Map(),
      numLayers: end,
    }),
  );

  /** The state after a group: groups before it as in prediction, itself as `run` has it. */
  const stateAfter = (group: number, images: Tensor, context: Context, run: (layer: Layer) => Step): Tensor => {
    const [first, end] = ranges[group]!;
    const before = layers
      .slice(0, first)
      .reduce((h, layer) => layer(h, plainContext), stem(images, undefined, first === 0 ? context : plainContext));
    return layers.slice(first, end).reduce((h, layer) => run(layer)(h, context), before);
  };

  return {
    name: "greedy",
    architecture,
    units,
    independentUnits: false,
    inOrder: true,
    objective: (unit, batch, key, { checkpointing }) => {
      const group = units.indexOf(unit);
      const context = trainingContext(fold(key, "dropout"));
      const run = (layer: Layer): Step => (checkpointing ? checkpoint<[Tensor, Context], Tensor>(layer) : layer);
      const logits = heads[group]!(stateAfter(group, batch.input, context, run), context);
      return { loss: mean(crossEntropy(logits, batch.labels)), metrics: { accuracy: classAccuracy(logits, batch.labels) } };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const images = input("input", shape, dtype);
      const logits = units.map((_, group) =>
        heads[group]!(
          stateAfter(group, images, plainContext, (layer) => layer),
          plainContext,
        ),
      );
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

function named(owner: string, parts: Parts): Map<string, Tensor> {
  return new Map([...namedParameters({ parts })].map(([path, tensor]) => [`${owner}/${path}`, tensor]));
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
