import { edmNoise } from "../../diffusion/index.ts";
import { autoregressiveModel, maskedDiffusionModel, recurrentDepthModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import { inBlocks, type StudyTable } from "../table.ts";

export const maskedTable: StudyTable = {
  name: "masked",
  title: "Table 3: masked diffusion of text trained end to end and in three blocks",
  paper: "3",
  published: { data: "text8", amount: 90_000_000, info: { vocabSize: 27 } },
  model: "masked-diffusion",
  systems: (_, registry) => [
    ...systemsNamed(registry, maskedDiffusionModel, ["end-to-end", "blocks"]),
    inBlocks("blocks, stacked", { method: { context: "stacked" } }),
  ],
  columns: [{ title: "published, text8 bits a character", values: { "end-to-end": "1.56", blocks: "1.45" } }],
  scales: {
    laptop: { model: { width: 64 }, data: { length: 64 }, training: { epochs: 2 } },
    gpu: {
      model: { width: 384, numLayers: 12, numHeads: 6 },
      data: { length: 256 },
      training: { epochs: 10, batchSize: 128, learningRate: 1e-3 },
    },
    paper: {
      model: { width: 768, numLayers: 12, numHeads: 12 },
      data: { length: 256 },
      training: { epochs: 100, batchSize: 256, learningRate: 3e-4, schedule: "constant", warmup: 2000 / 137_300 },
    },
  },
};

const languageScales: StudyTable["scales"] = {
  laptop: { model: { width: 96, numLayers: 6 }, method: { numBlocks: 3 }, data: { length: 64 }, training: { epochs: 1 } },
  gpu: {
    model: { width: 384, numLayers: 12, numHeads: 6 },
    data: { length: 256 },
    training: { epochs: 10, batchSize: 64, learningRate: 1e-3 },
  },
  paper: {
    model: { width: 768, numLayers: 12, numHeads: 12 },
    data: { length: 256 },
    training: { epochs: 10, batchSize: 256, learningRate: 3e-4, schedule: "constant" },
  },
};

/** A language model end to end, and ways to train it in blocks, from what is published to what the measurements favour. */
export const languageTable: StudyTable = {
  name: "language",
  title: "Table 4: a language model end to end, its shallow twin, and ways to train it in blocks",
  paper: "4",
  published: { data: "LM1B", amount: 800_000_000, info: { vocabSize: 32_000 } },
  model: "autoregressive",
  systems: (_, registry) => [
    ...systemsNamed(registry, autoregressiveModel, ["end-to-end", "shallow-twin"]),
    inBlocks("blocks, as published", {
      method: {
        pMean: edmNoise.pMean,
        targetEmbedding: "learned",
        shared: "together",
        labelLikelihood: "learned",
        lossWeighting: "edm",
        initialGate: 0,
        query: "blank",
      },
      execution: { schedule: "interleaved" },
    }),
    inBlocks("blocks, noise as published", { method: { pMean: edmNoise.pMean } }),
    inBlocks("blocks, blank query", { method: { query: "blank" } }),
    inBlocks("blocks, likelihood learned", { method: { labelLikelihood: "learned" } }),
    inBlocks("blocks, EDM weights", { method: { lossWeighting: "edm" } }),
    inBlocks("blocks"),
    { ...inBlocks("blocks, cut by loss"), cutByLossOf: "blocks" },
    inBlocks("blocks, scheduled sampling", { method: { scheduledSampling: 0.5 } }),
    inBlocks("blocks, next token too", { method: { nextTokenWeight: 1 } }),
    inBlocks("blocks, stacked", { method: { context: "stacked" } }),
    inBlocks("blocks, stacked, next token too", { method: { context: "stacked", nextTokenWeight: 1 } }),
    inBlocks("blocks, in turn on the whole network", {
      method: { context: "stacked", nextTokenWeight: 1, nextTokenPlace: "network", sampling: { readout: "next-token" } },
    }),
  ],
  columns: [
    { title: "published MAUVE, LM1B", values: { "end-to-end": "0.50", "blocks, as published": "0.71" } },
    { title: "OWT", values: { "end-to-end": "0.85", "blocks, as published": "0.82" } },
    { title: "generative perplexity, GPT-2 XL, LM1B", values: { "end-to-end": "38.87", "blocks, as published": "30.99" } },
  ],
  scales: languageScales,
};

/** As in Table 4; the number of blocks that divide the layers. */
export const languageBlocksTable: StudyTable = {
  name: "table11",
  title: "Table 11: the number of blocks of a language model; no overlap",
  paper: "11",
  published: { data: "LM1B", amount: 800_000_000, info: { vocabSize: 32_000 } },
  model: "autoregressive",
  systems: (scale) =>
    (scale === "laptop" ? [1, 2, 3, 6] : [1, 2, 3, 4, 6]).map((numBlocks) =>
      inBlocks(`B=${numBlocks}`, { method: { numBlocks, overlap: 0 } }),
    ),
  columns: [{ title: "published MAUVE, LM1B", values: { "B=2": "0.61", "B=3": "0.65", "B=4": "0.67", "B=6": "0.62" } }],
  scales: languageScales,
};

export const recurrentTable: StudyTable = {
  name: "recurrent",
  title: "Table 5: recurrent depth by truncated backpropagation, and as denoising; equal layer evaluations",
  paper: "5",
  published: { data: "LM1B", amount: 800_000_000, info: { vocabSize: 32_000 } },
  model: "recurrent-depth",
  systems: (_, registry) => systemsNamed(registry, recurrentDepthModel, ["end-to-end", "blocks"]),
  equalEvaluations: true,
  columns: [
    { title: "published MAUVE, LM1B", values: { "end-to-end": "0.49", blocks: "0.70" } },
    { title: "generative perplexity, GPT-2 XL", values: { "end-to-end": "46.73", blocks: "42.43" } },
  ],
  scales: {
    laptop: { model: { width: 64 }, data: { length: 64 }, training: { epochs: 1 } },
    gpu: { model: { width: 256, numHeads: 8 }, data: { length: 256 }, training: { epochs: 2, batchSize: 64 } },
    paper: {
      model: { width: 512, numHeads: 8, mlpWidth: 2048 },
      data: { length: 256 },
      training: { epochs: 5, batchSize: 256, learningRate: 3e-4, schedule: "constant" },
    },
  },
};
