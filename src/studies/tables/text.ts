import { edmNoise } from "../../diffusion/index.ts";
import { autoregressiveModel, maskedDiffusionModel, recurrentDepthModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import { inBlocks, type StudyTable } from "../table.ts";

export const maskedTable: StudyTable = {
  name: "masked",
  title: "Table 3: masked diffusion of text trained end to end and in three blocks",
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

/** A language model end to end, and ways to train it in blocks, from what is published to what the measurements favour. */
export const languageTable: StudyTable = {
  name: "language",
  title: "A language model end to end, its shallow twin, and ways to train it in blocks",
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
  columns: [],
  scales: {
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
  },
};

export const recurrentTable: StudyTable = {
  name: "recurrent",
  title: "Table 5: recurrent depth by truncated backpropagation, and as denoising; equal layer evaluations",
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
