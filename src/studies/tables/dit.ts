import { presetPart } from "../../define/index.ts";
import { ditModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import { inBlocks, type Scale, type StudyTable } from "../table.ts";

const dit = {
  model: "dit",
  scales: {
    laptop: { model: { width: 96, numLayers: 6, patchSize: 4 }, training: { epochs: 10 } },
    gpu: {
      model: { width: 384, numLayers: 12, numHeads: 6, patchSize: 4, mlpWidth: 1536 },
      training: { epochs: 100, batchSize: 128, learningRate: 3e-4 },
    },
    paper: presetPart(ditModel.presets["DiT-S/2"]!),
  },
} as const satisfies Pick<StudyTable, "model" | "scales">;

export const ditTable: StudyTable = {
  ...dit,
  name: "dit",
  title: "Table 2: a diffusion transformer trained end to end and in three blocks",
  paper: "2",
  published: { data: "CIFAR-10", amount: 50_000, info: { numClasses: 10 } },
  systems: (_, registry) => systemsNamed(registry, ditModel, ["end-to-end", "blocks"]),
  columns: [{ title: "published FID, CIFAR-10 test", values: { "end-to-end": "39.83", blocks: "37.20" } }],
};

/** The layer distributions of Table 7, in 12 layers and in 6. */
const distributions = {
  equal: { twelve: [4, 4, 4], six: [2, 2, 2] },
  "middle-heavy": { twelve: [3, 6, 3], six: [1, 4, 1] },
  "noisy end heavy": { twelve: [6, 4, 2], six: [3, 2, 1] },
  "clean end heavy": { twelve: [2, 4, 6], six: [1, 2, 3] },
} as const;

export const cutsTable: StudyTable = {
  ...dit,
  name: "table7",
  title: "Table 7: how the noise range is cut, and how the layers are distributed; no overlap",
  paper: "7",
  published: { data: "CIFAR-10", amount: 50_000, info: { numClasses: 10 } },
  systems: (scale) =>
    ["uniform-log", "equi-probability"].flatMap((strategy) =>
      Object.entries(distributions).map(([name, { six, twelve }]) =>
        inBlocks(`${strategy}, ${name}`, { method: { strategy, overlap: 0, layersPerBlock: scale === "laptop" ? six : twelve } }),
      ),
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
};

const blockCounts: Readonly<Record<Scale, readonly number[]>> = { laptop: [1, 2, 3, 6], gpu: [1, 2, 3, 4, 6], paper: [1, 2, 3, 4, 6] };

export const blockCountTable: StudyTable = {
  ...dit,
  name: "table10",
  title: "Tables 8 and 10: the number of blocks; no overlap",
  paper: "8, 10",
  published: { data: "CIFAR-10", amount: 50_000, info: { numClasses: 10 } },
  systems: (scale) => blockCounts[scale].map((numBlocks) => inBlocks(`B=${numBlocks}`, { method: { numBlocks, overlap: 0 } })),
  columns: [
    { title: "published FID, CIFAR-10 test", values: { "B=1": "39.83", "B=2": "35.47", "B=3": "38.03", "B=4": "45.43", "B=6": "53.32" } },
    { title: "ImageNet, 24 layers", values: { "B=1": "12.09", "B=2": "9.90", "B=3": "11.11", "B=4": "11.90", "B=6": "14.43" } },
  ],
};

export const overlapTable: StudyTable = {
  ...dit,
  name: "overlap",
  title: "Three blocks with and without overlap of their noise ranges",
  paper: "2 against 10",
  published: { data: "CIFAR-10", amount: 50_000, info: { numClasses: 10 } },
  systems: () => [0, 0.05, 0.1].map((overlap) => inBlocks(`overlap ${overlap}`, { method: { overlap } })),
  columns: [{ title: "published FID, CIFAR-10 test", values: { "overlap 0": "38.03", "overlap 0.05": "37.20" } }],
};
