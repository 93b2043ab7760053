import { officialChoices } from "../blocks/index.ts";
import { edmNoise } from "../diffusion/index.ts";
import { ditSizes, vitOfficialCifar100 } from "../models/index.ts";
import type { RunConfigOverrides } from "./runConfig.ts";

const { imageSize: _size, numClasses: _classes, channels: _channels, ...officialNetwork } = vitOfficialCifar100;
const officialBlocks: NonNullable<RunConfigOverrides["blocks"]> = { numBlocks: 3, ...edmNoise, ...officialChoices };

/** DiT as published, with the paper's training on images (Section 5.2, Appendix E.2): 100 epochs, batches of 512. */
const dit = Object.fromEntries(
  Object.entries(ditSizes).map(([name, network]) => [
    name,
    {
      network: { ...network, mlpWidth: 4 * network.width },
      blocks: { numBlocks: 3, ...edmNoise, overlap: 0.05, lossWeighting: "edm", initialGate: 0 },
      training: {
        epochs: 100,
        batchSize: 512,
        learningRate: network.numLayers > 12 ? 5e-5 : 1e-4,
        schedule: "constant",
        warmup: 0,
        weightDecay: 0,
      },
    } satisfies RunConfigOverrides,
  ]),
) as unknown as Readonly<Record<keyof typeof ditSizes, RunConfigOverrides>>;

/**
 * Published configurations, to start from. `official-cifar100` is the released code with its default recipe; `paper-cifar100` is what the paper
 * describes (Appendices B and E.1): class token and noisy label side by side, samples weighted each by w(sigma), cosine schedule, RandAugment.
 */
export const presets: Readonly<Record<"official-cifar100" | "paper-cifar100" | keyof typeof ditSizes, RunConfigOverrides>> = {
  ...dit,
  "official-cifar100": {
    network: officialNetwork,
    blocks: officialBlocks,
    training: { epochs: 500, batchSize: 128, learningRate: 1e-3, schedule: "constant", warmup: 0, weightDecay: 0.01, clipNorm: 1 },
    data: { augmentation: "flip-crop" },
  },
  "paper-cifar100": {
    network: { ...officialNetwork, labelToken: "separate" },
    blocks: { ...officialBlocks, lossWeighting: "edm" },
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
