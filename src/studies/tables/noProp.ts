import { noPropCnnModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import type { StudyTable } from "../table.ts";

/** Published figures: NoProp, Table 1 (one-hot / 20 columns / prototypes); DiffusionBlocks, Table 6. */
export const noPropTable: StudyTable = {
  name: "noprop",
  title: "Table 6: NoProp and DiffusionBlocks on NoProp's convolutional network",
  paper: "6",
  published: { data: "CIFAR-100", amount: 50_000, info: { numClasses: 100 } },
  model: "noprop-cnn",
  systems: (_, registry) => systemsNamed(registry, noPropCnnModel, ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "blocks"]),
  equalEvaluations: true,
  columns: [
    { title: "continuous time", values: { backprop: "no", "noprop-dt": "no", "noprop-ct": "yes", "noprop-fm": "yes", blocks: "yes" } },
    { title: "block-wise", values: { backprop: "no", "noprop-dt": "yes", "noprop-ct": "no", "noprop-fm": "no", blocks: "yes" } },
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
        blocks: "46.88",
      },
    },
  ],
  scales: {
    laptop: { training: { epochs: 2 } },
    gpu: { training: { epochs: 20 } },
    paper: { training: { epochs: 150, schedule: "constant", warmup: 0 } },
  },
};
