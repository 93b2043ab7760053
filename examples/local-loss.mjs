// A method of one's own: groups of layers that learn alone, each to turn the mean of its tokens towards a fixed
// random direction of the image's class (after Nøkland & Eidnes 2019). No classifier is trained, no gradient crosses
// a group. The one loop trains it, saves it and measures it.
//
//   dblocks --plugin examples/local-loss.mjs train vit --method local-loss --groups 3 --epochs 2
// @ts-check
import * as db from "diffusion-blocks";

const { z } = db;
const { crossEntropy, l2Normalize, matmul, mean, mul, reduceMean, stopGradient, constant } = db.tensor;

const options = z.strictObject({
  groups: db.option(db.count, { description: "groups of layers that learn alone" }).default(3),
  temperature: db.option(db.positive, { value: "x", description: "divides the cosines" }).default(0.3),
});

/**
 * @param {db.ClassifierArchitecture} architecture
 * @param {db.z.output<typeof options>} options
 * @returns {db.Classifier}
 */
export function localLoss(architecture, { groups, temperature }) {
  const { width, numClasses, numLayers } = architecture;
  const { stem, layers } = architecture.build(db.plainConditioning(architecture.epsilon));
  const directions = constant(db.orthonormalRows(numClasses, width), [numClasses, width]);
  const ranges = db.assignLayers(numLayers, groups);
  const owned = ranges.map(([first, end], group) =>
    db.ownedParameters(`group-${group}`, { parts: { ...(group === 0 && { stem }), layers: layers.slice(first, end) } }),
  );

  /**
   * The state behind each group; gradients stop where one ends.
   *
   * @param {db.tensor.Tensor} images
   * @param {db.Context} context
   */
  const statesOf = (images, context) => {
    let h = stem(images, undefined, context);
    return ranges.map(([first, end], group) => {
      h = db.throughLayers(layers.slice(first, end), group === 0 ? h : stopGradient(h), context);
      return h;
    });
  };
  /**
   * Cosines with the directions of the classes over the temperature: [batch, classes].
   *
   * @param {db.tensor.Tensor | undefined} h
   */
  const scoresOf = (h) => {
    if (h === undefined) throw new Error("internal: every group has a state");
    return mul(matmul(l2Normalize(reduceMean(h, 1)), directions, { transB: true }), 1 / temperature);
  };

  const units = ranges.map(([, end], group) => ({
    name: `group-${group}`,
    trainable: owned[group] ?? new Map(),
    frozen: new Map(owned.slice(0, group).flatMap((before) => [...before])), // finished before this one starts
    constants: new Map(),
    layerEvaluations: end,
  }));
  const programs = units.map(({ name }, group) =>
    db.predictionProgram(
      name,
      (batchSize) => ({ input: architecture.inputType(batchSize) }),
      ({ input }) => ({ scores: scoresOf(statesOf(input, db.plainContext)[group]) }),
    ),
  );
  return {
    name: "local-loss",
    numClasses,
    isRandom: false,
    inputType: architecture.inputType,
    units,
    order: db.sequential,
    objective: (unit, { input: images, labels }, key) => {
      const scores = scoresOf(statesOf(images, db.trainingContext(key))[units.findIndex(({ name }) => name === unit.name)]);
      return { loss: mean(crossEntropy(scores, labels)), metrics: { accuracy: db.classAccuracy(scores, labels) } };
    },
    programs,
    predict: async (call, input, _batchSize, _key, unit) => {
      const program = programs.find(({ name }) => name === unit?.name) ?? programs[programs.length - 1];
      if (program === undefined) throw new Error("internal: there is a group");
      return (await call(program, { input })).scores;
    },
  };
}

export const localLossMethod = db.defineMethod({
  name: "local-loss",
  summary: "groups of layers that learn alone, each towards a direction for each class",
  fits: [db.on(db.classifierKind, { schema: options, build: ({ network }, own) => localLoss(network(), own) })],
});
