// A way of training of one's own, in the terms of the library: groups of layers that learn alone, each to turn the mean of its tokens towards a fixed random direction of the
// image's class (after Nøkland & Eidnes 2019). No classifier is trained, no gradient crosses a group. The one loop trains it, saves it and measures it like every other method.
// Run: npx tsx examples/local-loss.ts (Node 20), node examples/local-loss.ts (Node 22.18 and newer)
import * as db from "diffusion-blocks";

const { crossEntropy, input, l2Normalize, matmul, mean, mul, reduceMean, stopGradient, constant } = db.tensor;
type Tensor = db.tensor.Tensor;

function localLoss(architecture: db.Architecture, groups: number, temperature = 0.3): db.Classifier {
  const { width, numClasses, numLayers } = architecture;
  const network = architecture.build(db.plainConditioning(architecture.epsilon));
  const directions = constant(db.orthonormalRows(numClasses, width), [numClasses, width]);
  const ranges = db.assignLayers(numLayers, groups);

  /** What each group makes of the images; gradients stop where one group ends. */
  const statesOf = (images: Tensor, context: db.Context): Tensor[] => {
    let h = network.stem(images, undefined, context);
    return ranges.map(([first, end], group) => {
      h = network.layers.slice(first, end).reduce((state, layer) => layer(state, context), group === 0 ? h : stopGradient(h));
      return h;
    });
  };
  /** Cosines with the classes' directions over the temperature: [batch, classes]. */
  const scoresOf = (h: Tensor): Tensor => mul(matmul(l2Normalize(reduceMean(h, 1)), directions, { transB: true }), 1 / temperature);

  const parametersOf = ([first, end]: readonly [number, number], group: number): [string, Tensor][] => {
    const parts = { ...(group === 0 && { stem: network.stem }), layers: network.layers.slice(first, end) };
    return [...db.namedParameters({ parts })].map(([path, tensor]) => [`group-${group}/${path}`, tensor]);
  };
  const owned = ranges.map(parametersOf);
  const units = ranges.map(
    ([, end], group): db.Unit => ({
      name: `group-${group}`,
      trainable: new Map(owned[group]),
      frozen: new Map(owned.slice(0, group).flat()), // finished before this one starts
      constants: new Map(),
      numLayers: end,
    }),
  );

  return {
    name: "local-loss",
    inputType: architecture.inputType,
    units,
    independentUnits: false,
    inOrder: true,
    objective: (unit, { input: images, labels }, key) => {
      const scores = scoresOf(statesOf(images, db.trainingContext(key))[units.indexOf(unit)]!);
      return { loss: mean(crossEntropy(scores, labels)), metrics: { accuracy: db.classAccuracy(scores, labels) } };
    },
    programs: (batchSize) => {
      const { dtype, shape } = architecture.inputType(batchSize);
      const states = statesOf(input("input", shape, dtype), db.plainContext);
      return Object.fromEntries(units.map(({ name }, group) => [name, { scores: scoresOf(states[group]!) }]));
    },
    predict: async (call, images, _batchSize, _key, unit = units.at(-1)!) =>
      (await call(unit.name, { input: images })).scores as Float32Array,
  };
}

const [batchSize, steps] = [32, 300];
const method = localLoss(db.vit({ imageSize: 32, patchSize: 8, width: 64, numLayers: 6, numHeads: 4, numClasses: 10 }), 3);
const { train, test, mean: mu, std } = db.generateEmbedded();
const batches = db.trainBatches(train, { batchSize, seed: 0, augmentation: "none", mean: mu, std });
const device = await db.openDevice("auto");
const learned = new Map<string, Float32Array>();
await db.train(method, {
  device,
  batches: { stepsPerEpoch: batches.stepsPerEpoch, at: (i) => ({ input: batches.at(i).images, labels: batches.at(i).labels }) },
  batchSize,
  steps,
  schedule: "sequential",
  optimizer: db.adamW(),
  learningRate: db.schedule({ kind: "cosine", learningRate: 3e-3, warmupSteps: 20, totalSteps: steps, floor: 0.01 }),
  seed: 0,
  onUnitDone: ({ trainable }, values) => {
    for (const path of trainable.keys()) learned.set(path, values(path).slice());
  },
});
const labelled = [...db.testBatches(test, { batchSize, mean: mu, std })].map(({ images, labels, count }) => ({
  input: images,
  labels,
  count,
}));
const predictor = db.createPredictor(method, { device, values: (path) => learned.get(path)!, batchSize });
for (const unit of method.units)
  console.log(`${unit.name}: accuracy ${(100 * (await db.accuracyOf(predictor, labelled, 10, 0, unit))).toFixed(1)} %`);
await predictor.dispose();
await device.dispose();
