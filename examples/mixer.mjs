// A model of one's own: an MLP-Mixer (Tolstikhin et al. 2021). It says what its stem, its layers and its head are,
// and takes the conditioning that it is handed; it knows nothing of noise or blocks, and every way of training takes
// it as it is.
//
//   dblocks --plugin examples/mixer.mjs train mixer --blocks 2 --epochs 2
//   dblocks --plugin examples/mixer.mjs compare mixer
// @ts-check
import * as db from "diffusion-blocks";

const { z } = db;
const { concat, reduceMean, reshape, transpose } = db.tensor;

const options = z.strictObject({
  patchSize: db.option(db.count, { flag: "patch", value: "pixels", description: "side of a patch" }).default(8),
  width: db.option(db.count, { description: "width of the residual stream" }).default(48),
  numLayers: db.option(db.count, { flag: "layers", description: "layers" }).default(4),
});

/**
 * @param {db.z.output<typeof options> & db.ImageData} config
 * @returns {db.ClassifierArchitecture}
 */
export function mixer({ patchSize, width, numLayers, channels, imageSize, numClasses }) {
  const epsilon = 1e-6;
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
          return label === undefined ? embedded : concat([reshape(label, [images.shape[0] ?? 0, 1, width]), embedded], 1);
        }),
        layers: Array.from({ length: numLayers }, () => mixerLayer(tokens, width, conditioning)),
        head: db.defineModule({ norm, modulation, classifier }, (h, context, mix = (features) => features) =>
          classifier(modulation(mix(norm(reduceMean(h, 1))), context)),
        ),
      };
    },
  };
}

/**
 * A branch that mixes tokens, then one that mixes channels; the conditioning stands before and behind each.
 *
 * @param {number} tokens
 * @param {number} width
 * @param {db.Conditioning} conditioning
 * @returns {db.Layer}
 */
function mixerLayer(tokens, width, conditioning) {
  const init = db.initializers.fanInUniform;
  const parts = {
    norm1: conditioning.branchNorm(width),
    mixTokens: db.mlp({ width: tokens, hidden: 2 * tokens, init }),
    norm2: conditioning.branchNorm(width),
    mixChannels: db.mlp({ width, hidden: 4 * width, init }),
  };
  /** @param {db.tensor.Tensor} x */
  const swap = (x) => transpose(x, [0, 2, 1]);
  return db.defineModule(parts, (h, context) => {
    const first = parts.norm1(h, context);
    const second = parts.norm2(first.residual(swap(parts.mixTokens(swap(first.normed), context))), context);
    return second.residual(parts.mixChannels(second.normed, context));
  });
}

export const mixerModel = db.defineModel({
  name: "mixer",
  summary: "MLP-Mixer that classifies images",
  kind: db.classifierKind,
  task: db.classes,
  schema: options,
  defaults: { training: { learningRate: 3e-3, batchSize: 32 }, data: { augmentation: "none" } },
  compared: ["end-to-end", "blocks", "shallow-twin"],
  build: (config, images) => mixer({ ...config, ...images }),
});
