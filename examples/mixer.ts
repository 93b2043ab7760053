// An architecture of one's own: an MLP-Mixer (Tolstikhin et al. 2021). It says what its stem, its layers and its head are, and takes the conditioning
// that it is handed; it knows nothing of noise or blocks, and every way of training takes it as it is.
// Run: npx tsx examples/mixer.ts (Node 20), node examples/mixer.ts (Node 22.18 and newer)
import * as db from "diffusion-blocks";

const { concat, reduceMean, reshape, transpose } = db.tensor;

interface MixerConfig {
  readonly patchSize: number;
  readonly width: number;
  readonly numLayers: number;
}

function mixer({ patchSize, width, numLayers }: MixerConfig): db.Architecture {
  const [imageSize, channels, numClasses, epsilon] = [32, 3, 10, 1e-6];
  return {
    name: "mixer",
    numLayers,
    width,
    numClasses,
    epsilon,
    inputType: (batch) => ({ dtype: "float32", shape: [batch, channels, imageSize, imageSize] }),
    build: (conditioning) => {
      const tokens = (imageSize / patchSize) ** 2 + (conditioning.targetWidth === undefined ? 0 : 1);
      const patches = db.patchEmbedding({ channels, imageSize, patchSize, width, init: db.initializers.fanInUniform });
      const norm = db.layerNorm(width, epsilon);
      const modulation = conditioning.modulation(width);
      const classifier = db.linear(width, numClasses, { init: db.initializers.zeros });
      return {
        // The noisy label, where there is one, is a token before the patches: [batch, tokens, width].
        stem: db.defineModule({ patches }, (images, label) => {
          const embedded = patches(images);
          return label === undefined ? embedded : concat([reshape(label, [images.shape[0]!, 1, width]), embedded], 1);
        }),
        layers: Array.from({ length: numLayers }, () => mixerLayer(tokens, width, conditioning)),
        head: db.defineModule({ norm, modulation, classifier }, (h, context, mix = (features) => features) =>
          classifier(modulation(mix(norm(reduceMean(h, 1))), context)),
        ),
      };
    },
  };
}

/** A branch that mixes tokens, then one that mixes channels; the conditioning stands before and behind each. */
function mixerLayer(tokens: number, width: number, conditioning: db.Conditioning): db.Layer {
  const init = db.initializers.fanInUniform;
  const parts = {
    norm1: conditioning.branchNorm(width),
    mixTokens: db.mlp({ width: tokens, hidden: 2 * tokens, init }),
    norm2: conditioning.branchNorm(width),
    mixChannels: db.mlp({ width, hidden: 4 * width, init }),
  };
  const swap = (x: db.tensor.Tensor): db.tensor.Tensor => transpose(x, [0, 2, 1]);
  return db.defineModule(parts, (h, context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(swap(parts.mixTokens(swap(first.normed), context))), context);
    return second.residual(parts.mixChannels(second.normed, context));
  });
}

const [steps, batchSize] = [200, 32];
const { train, test, mean, std, numClasses } = db.generateEmbedded();
const batches = db.trainBatches(train, { batchSize, seed: 0, augmentation: "none", mean, std });
const device = await db.openDevice("auto");
const network = mixer({ patchSize: 8, width: 48, numLayers: 4 });

for (const method of [db.convert(network, { partition: db.partition({ numBlocks: 2, noise: db.classNoise }) }), db.endToEnd(network)]) {
  const parameters = new Map<string, Float32Array>();
  await db.train(method, {
    device,
    batches: {
      stepsPerEpoch: batches.stepsPerEpoch,
      at: (step) => {
        const { images, labels } = batches.at(step);
        return { input: images, labels };
      },
    },
    batchSize,
    steps,
    schedule: "sequential",
    optimizer: db.adamW(),
    learningRate: db.schedule({ kind: "cosine", learningRate: 3e-3, warmupSteps: 20, totalSteps: steps, floor: 0.01 }),
    seed: 0,
    onUnitDone: (unit, values) => {
      for (const path of unit.trainable.keys()) parameters.set(path, values(path).slice());
    },
  });
  const predictor = db.createPredictor(method, { device, values: (path) => parameters.get(path)!, batchSize });
  const labelled = [...db.testBatches(test, { batchSize, mean, std })].map(({ images, labels, count }) => ({
    input: images,
    labels,
    count,
  }));
  const accuracy = await db.accuracyOf(predictor, labelled, numClasses, 0);
  console.log(`${method.name}: test accuracy ${(100 * accuracy).toFixed(1)} % after ${steps} steps of each unit`);
  await predictor.dispose();
}
await device.dispose();
