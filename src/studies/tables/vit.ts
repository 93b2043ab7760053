import { presetPart } from "../../define/index.ts";
import { tinyImageNetNetwork, vitModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import { inBlocks, type StudyTable } from "../table.ts";

export const vitTable: StudyTable = {
  name: "vit",
  title: "Table 1: a vision transformer trained end to end, by Forward-Forward and in blocks",
  paper: "1",
  published: { data: "CIFAR-100", amount: 50_000, info: { numClasses: 100 } },
  model: "vit",
  systems: (_, registry) => systemsNamed(registry, vitModel, ["end-to-end", "forward-forward", "contrastive-ff", "blocks", "shallow-twin"]),
  columns: [{ title: "published, CIFAR-100 %", values: { "end-to-end": "60.25", "forward-forward": "7.85", blocks: "59.30" } }],
  scales: {
    laptop: { model: { width: 64 }, training: { epochs: 10 } },
    gpu: { model: { width: 128, numLayers: 12 }, training: { epochs: 60 } },
    paper: presetPart(vitModel.presets["paper-cifar100"]!),
  },
};

/** Table 9 of the appendix. Its images are 64 × 64, and its augmentation crops at random scales; ours are flipped and cropped. */
export const tinyImageNetTable: StudyTable = {
  name: "table9",
  title: "Table 9: a vision transformer on Tiny-ImageNet, end to end and in two blocks",
  paper: "9",
  published: { data: "Tiny-ImageNet", amount: 100_000, info: { numClasses: 200, height: 64, width: 64 } },
  model: "vit",
  systems: (_, registry) => [
    ...systemsNamed(registry, vitModel, ["end-to-end"]),
    inBlocks("blocks", { method: { numBlocks: 2 } }),
    { name: "shallow-twin", method: "shallow-twin", overrides: { method: { numBlocks: 2 } } },
  ],
  columns: [{ title: "published, Tiny-ImageNet %", values: { "end-to-end": "35.32", blocks: "36.16" } }],
  scales: {
    laptop: { model: { width: 64 }, training: { epochs: 10 } },
    gpu: { model: { width: 256, numLayers: 12, numHeads: 8 }, training: { epochs: 50 } },
    paper: {
      model: tinyImageNetNetwork,
      training: { epochs: 100, batchSize: 256, learningRate: 1e-4 },
    },
  },
};

/** Appendix G: what checkpointing and blocks save, alone and together; read the columns of memory and time. */
export const checkpointingTable: StudyTable = {
  name: "checkpointing",
  title: "Appendix G: memory of end-to-end training and of blocks, with and without checkpointing",
  paper: "G",
  published: { data: "CIFAR-100", amount: 50_000, info: { numClasses: 100 } },
  model: "vit",
  systems: (_, registry) => systemsNamed(registry, vitModel, ["end-to-end", "checkpointing", "blocks", "blocks-checkpointing"]),
  columns: [],
  scales: vitTable.scales,
};
