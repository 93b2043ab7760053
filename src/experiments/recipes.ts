import { edmNoise } from "../diffusion/index.ts";
import { type ComparedSystem, type CompareOptions, systemsNamed } from "./compare.ts";
import { presets } from "./presets.ts";
import type { RunConfig, RunConfigOverrides } from "./runConfig.ts";

/** `paper`: as published, weeks on a CPU. `gpu`: smaller, hours on one GPU. `laptop`: the same comparison in an evening on two cores. */
export const scales = ["laptop", "gpu", "paper"] as const;
export type Scale = (typeof scales)[number];

/** A table of the paper as a comparison: what is trained, and the published figures that stand beside ours. */
export interface Recipe {
  readonly title: string;
  readonly model: RunConfig["model"];
  systems(scale: Scale): readonly ComparedSystem[];
  /** Epochs are those of the first system; the others get as many as make the same layer evaluations. */
  readonly equalEvaluations?: boolean;
  readonly columns: NonNullable<CompareOptions["columns"]>;
  readonly scales: Readonly<Record<Scale, RunConfigOverrides>>;
}

export const recipeNames = ["vit", "noprop", "dit", "table7", "table10", "overlap", "masked", "language", "recurrent"] as const;

const dit = {
  model: "dit",
  scales: {
    laptop: { network: { width: 96, numLayers: 6, patchSize: 4 }, training: { epochs: 10 } },
    gpu: {
      network: { width: 384, numLayers: 12, numHeads: 6, patchSize: 4, mlpWidth: 1536 },
      training: { epochs: 100, batchSize: 128, learningRate: 3e-4 },
    },
    paper: presets["DiT-S/2"],
  },
} as const satisfies Pick<Recipe, "model" | "scales">;

/** Ways to train a language model in blocks, from what is published to what the measurements favour: what each sets. */
const languageWays: Readonly<Record<string, RunConfigOverrides>> = {
  "blocks, as published": {
    blocks: {
      pMean: edmNoise.pMean,
      targetEmbedding: "learned",
      shared: "together",
      labelLikelihood: "learned",
      lossWeighting: "edm",
      initialGate: 0,
    },
    text: { query: "blank" },
    execution: { schedule: "interleaved" },
  },
  "blocks, noise as published": { blocks: { pMean: edmNoise.pMean } },
  "blocks, blank query": { text: { query: "blank" } },
  "blocks, likelihood learned": { blocks: { labelLikelihood: "learned" } },
  "blocks, EDM weights": { blocks: { lossWeighting: "edm" } },
  blocks: {},
  "blocks, cut by loss": {},
  "blocks, handed over": { text: { handedOver: 0.5 } },
  "blocks, next token too": { text: { nextTokenWeight: 1 } },
  "blocks, stacked": { text: { reading: "stacked" } },
  "blocks, stacked, next token too": { text: { reading: "stacked", nextTokenWeight: 1 } },
  "blocks, in turn on the whole network": {
    blocks: { sampling: { readout: "reading" } },
    text: { reading: "stacked", nextTokenWeight: 1, nextTokenPlace: "network" },
  },
};

/** The layer distributions of Table 7, in 12 layers and in 6. */
const distributions = {
  equal: { twelve: [4, 4, 4], six: [2, 2, 2] },
  "middle-heavy": { twelve: [3, 6, 3], six: [1, 4, 1] },
  "noisy end heavy": { twelve: [6, 4, 2], six: [3, 2, 1] },
  "clean end heavy": { twelve: [2, 4, 6], six: [1, 2, 3] },
} as const;

/** By the name of the command. Published figures: DiffusionBlocks Tables 1, 2, 6, 7 and 10; NoProp Table 1 (one-hot / 20 columns / prototypes). */
export const recipes: Readonly<Record<(typeof recipeNames)[number], Recipe>> = {
  vit: {
    title: "Table 1: a vision transformer trained end to end, by Forward-Forward and in blocks",
    model: "vit",
    systems: () => systemsNamed(["end-to-end", "forward-forward", "contrastive-ff", "dblocks", "shallow-twin"]),
    columns: [{ title: "published, CIFAR-100 %", values: { "end-to-end": "60.25", "forward-forward": "7.85", dblocks: "59.30" } }],
    scales: {
      laptop: { network: { width: 64 }, training: { epochs: 10 } },
      gpu: { network: { width: 128, numLayers: 12 }, training: { epochs: 60 } },
      paper: presets["paper-cifar100"],
    },
  },
  noprop: {
    title: "Table 6: NoProp and DiffusionBlocks on NoProp's convolutional network",
    model: "noprop-cnn",
    systems: () => systemsNamed(["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "dblocks"]),
    equalEvaluations: true,
    columns: [
      { title: "continuous time", values: { backprop: "no", "noprop-dt": "no", "noprop-ct": "yes", "noprop-fm": "yes", dblocks: "yes" } },
      { title: "block-wise", values: { backprop: "no", "noprop-dt": "yes", "noprop-ct": "no", "noprop-fm": "no", dblocks: "yes" } },
      {
        title: "published, MNIST %",
        values: {
          backprop: "99.46 / 99.43 / 99.44",
          "noprop-dt": "99.47 / 99.49 / 99.54",
          "noprop-ct": "97.84 / 97.70 / 97.17",
          "noprop-fm": "99.21 / 99.29 / 98.52",
        },
      },
      {
        title: "CIFAR-10 %",
        values: {
          backprop: "79.92 / 79.30 / 79.58",
          "noprop-dt": "79.25 / 79.12 / 80.54",
          "noprop-ct": "73.35 / 71.77 / 66.54",
          "noprop-fm": "73.14 / 73.50 / 75.18",
        },
      },
      {
        title: "CIFAR-100 %",
        values: {
          backprop: "45.85 / 46.57 / 47.80",
          "noprop-dt": "45.93 / 45.19 / 46.06",
          "noprop-ct": "33.66 / 33.99 / 21.31",
          "noprop-fm": "6.38 / 31.14 / 37.57",
          dblocks: "46.88",
        },
      },
    ],
    scales: {
      laptop: { training: { epochs: 2 } },
      gpu: { training: { epochs: 20 } },
      paper: { training: { epochs: 150, schedule: "constant", warmup: 0 } },
    },
  },
  dit: {
    ...dit,
    title: "Table 2: a diffusion transformer trained end to end and in three blocks",
    systems: () => systemsNamed(["end-to-end", "dblocks"]),
    columns: [{ title: "published FID, CIFAR-10 test", values: { "end-to-end": "39.83", dblocks: "37.20" } }],
  },
  table7: {
    ...dit,
    title: "Table 7: how the noise range is cut, and how the layers are distributed; no overlap",
    systems: (scale) =>
      (["uniform-log", "equi-probability"] as const).flatMap((strategy) =>
        Object.entries(distributions).map(([name, { six, twelve }]) => ({
          name: `${strategy}, ${name}`,
          overrides: { method: "blocks", blocks: { strategy, overlap: 0, layersPerBlock: scale === "laptop" ? six : twelve } },
        })),
      ),
    columns: [
      {
        title: "published FID, CIFAR-10 test",
        values: {
          "uniform-log, equal": "43.53",
          "uniform-log, middle-heavy": "43.59",
          "uniform-log, noisy end heavy": "47.49",
          "uniform-log, clean end heavy": "42.37",
          "equi-probability, equal": "38.03",
          "equi-probability, middle-heavy": "41.64",
          "equi-probability, noisy end heavy": "45.42",
          "equi-probability, clean end heavy": "40.40",
        },
      },
    ],
  },
  table10: {
    ...dit,
    title: "Tables 8 and 10: the number of blocks; no overlap",
    systems: (scale) =>
      (scale === "laptop" ? [1, 2, 3, 6] : [1, 2, 3, 4, 6]).map((numBlocks) => ({
        name: `B=${numBlocks}`,
        overrides: { method: "blocks", blocks: { numBlocks, overlap: 0 } },
      })),
    columns: [
      { title: "published FID, CIFAR-10 test", values: { "B=1": "39.83", "B=2": "35.47", "B=3": "38.03", "B=4": "45.43", "B=6": "53.32" } },
      { title: "ImageNet, 24 layers", values: { "B=1": "12.09", "B=2": "9.90", "B=3": "11.11", "B=4": "11.90", "B=6": "14.43" } },
    ],
  },
  masked: {
    title: "Table 3: masked diffusion of text trained end to end and in three blocks",
    model: "masked-diffusion",
    systems: () => [
      ...systemsNamed(["end-to-end", "dblocks"]),
      { name: "dblocks, stacked", overrides: { method: "blocks", text: { reading: "stacked" } } },
    ],
    columns: [{ title: "published, text8 bits a character", values: { "end-to-end": "1.56", dblocks: "1.45" } }],
    scales: {
      laptop: { network: { width: 64 }, text: { length: 64 }, training: { epochs: 2 } },
      gpu: {
        network: { width: 384, numLayers: 12, numHeads: 6 },
        text: { length: 256 },
        training: { epochs: 10, batchSize: 128, learningRate: 1e-3 },
      },
      paper: {
        network: { width: 768, numLayers: 12, numHeads: 12 },
        text: { length: 256 },
        training: { epochs: 100, batchSize: 256, learningRate: 3e-4, schedule: "constant", warmup: 2000 / 137_300 },
      },
    },
  },
  language: {
    title: "A language model end to end, its shallow twin, and ways to train it in blocks",
    model: "autoregressive",
    systems: () => [
      ...systemsNamed(["end-to-end", "shallow-twin"]),
      ...Object.entries(languageWays).map(([name, overrides]) => ({
        name,
        overrides: { ...overrides, method: "blocks" as const },
        ...(name === "blocks, cut by loss" && { cutByLossOf: "blocks" }),
      })),
    ],
    columns: [],
    scales: {
      laptop: { network: { width: 96, numLayers: 6 }, blocks: { numBlocks: 3 }, text: { length: 64 }, training: { epochs: 1 } },
      gpu: {
        network: { width: 384, numLayers: 12, numHeads: 6 },
        text: { length: 256 },
        training: { epochs: 10, batchSize: 64, learningRate: 1e-3 },
      },
      paper: {
        network: { width: 768, numLayers: 12, numHeads: 12 },
        text: { length: 256 },
        training: { epochs: 10, batchSize: 256, learningRate: 3e-4, schedule: "constant" },
      },
    },
  },
  recurrent: {
    title:
      "Table 5: recurrent depth by truncated backpropagation, and as denoising; equal layer evaluations, forward and back as one, forward alone as a third",
    model: "recurrent-depth",
    systems: () => systemsNamed(["end-to-end", "dblocks"]),
    equalEvaluations: true,
    columns: [
      { title: "published MAUVE, LM1B", values: { "end-to-end": "0.49", dblocks: "0.70" } },
      { title: "generative perplexity, GPT-2 XL", values: { "end-to-end": "46.73", dblocks: "42.43" } },
    ],
    scales: {
      laptop: { network: { width: 64 }, text: { length: 64 }, training: { epochs: 1 } },
      gpu: { network: { width: 256, numHeads: 8 }, text: { length: 256 }, training: { epochs: 2, batchSize: 64 } },
      paper: {
        network: { width: 512, numHeads: 8, mlpWidth: 2048 },
        text: { length: 256 },
        training: { epochs: 5, batchSize: 256, learningRate: 3e-4, schedule: "constant" },
      },
    },
  },
  overlap: {
    ...dit,
    title: "Three blocks with and without overlap of their noise ranges",
    systems: () => [0, 0.05, 0.1].map((overlap) => ({ name: `overlap ${overlap}`, overrides: { method: "blocks", blocks: { overlap } } })),
    columns: [{ title: "published FID, CIFAR-10 test", values: { "overlap 0": "38.03", "overlap 0.05": "37.20" } }],
  },
};
