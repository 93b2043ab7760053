import type { Preset } from "../define/index.ts";
import { edmNoise } from "../diffusion/index.ts";

/** Options of both published networks. Their MLP is 3072 wide at every width: the default of the library that they extend. */
const official = { patchSize: 4, mlpWidth: 3072, dropout: 0.1, labelToken: "class", initialization: "normal", epsilon: 1e-12 } as const;

/**
 * The network of the official DiffusionBlocks code for CIFAR-100: `vit(vitOfficialCifar100)`; noise conditioning of
 * width 128 / 6 = 21.
 */
export const vitOfficialCifar100 = Object.freeze({
  ...official,
  imageSize: 32,
  width: 128,
  numLayers: 12,
  numHeads: 4,
  numClasses: 100,
});

/** The same for Tiny-ImageNet; noise conditioning of width 128. */
export const vitOfficialTinyImageNet = Object.freeze({
  ...official,
  imageSize: 64,
  width: 768,
  numLayers: 12,
  numHeads: 12,
  numClasses: 200,
});

const { imageSize: _size, numClasses: _classes, ...network } = vitOfficialCifar100;
const { imageSize: _tinySize, numClasses: _tinyClasses, ...tiny } = vitOfficialTinyImageNet;

/** The options of the network for Tiny-ImageNet, without what follows from the data. */
export const tinyImageNetNetwork: Readonly<Record<string, unknown>> = tiny;

/**
 * Every choice as the official DiffusionBlocks code makes it: one stem, head and noise embedding for all blocks, a
 * learned label table, the head reading cOut F + cSkip z, weights that act by their batch mean. With `vit({
 * labelToken: "class" })` this is its network.
 *
 * @example convert(vit(vitOfficialCifar100), { partition: partition({ numBlocks: 3 }), ...officialChoices })
 */
export const officialChoices = Object.freeze({
  shared: "together",
  targetEmbedding: "learned",
  lossWeighting: "batch-mean",
  headInput: "mixed",
  labelLikelihood: "learned",
  initialGate: 0,
  sampling: Object.freeze({ grid: "equi-probability", estimate: "soft", readout: "last" }),
} as const);

const officialBlocks = { name: "blocks", numBlocks: 3, ...edmNoise, ...officialChoices } as const;

/**
 * Published configurations for CIFAR-100: the released code with its default recipe, and what the paper describes (Appendices B and E.1):
 * class token and noisy label side by side, samples weighted each by w(sigma), cosine schedule, RandAugment.
 */
export const vitPresets: Readonly<Record<"official-cifar100" | "paper-cifar100", Preset>> = {
  "official-cifar100": {
    description: "the released code with its default recipe, for CIFAR-100",
    model: network,
    method: officialBlocks,
    training: { epochs: 500, batchSize: 128, learningRate: 1e-3, schedule: "constant", warmup: 0, weightDecay: 0.01, clipNorm: 1 },
    data: { augmentation: "flip-crop" },
  },
  "paper-cifar100": {
    description: "as the paper describes it, for CIFAR-100",
    model: { ...network, labelToken: "separate" },
    method: { ...officialBlocks, lossWeighting: "edm" },
    training: {
      epochs: 500,
      batchSize: 128,
      learningRate: 5e-4,
      schedule: "cosine",
      warmup: 10 / 500,
      floor: 0,
      weightDecay: 0.01,
      clipNorm: 1,
    },
    data: { augmentation: "randaugment" },
  },
};
