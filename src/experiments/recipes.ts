import type { CompareOptions } from "./compare.ts";
import { presets } from "./presets.ts";
import type { RunConfig, RunConfigOverrides } from "./runConfig.ts";

/** `paper`: as published, weeks on a CPU. `laptop`: the same comparison in an evening on two cores. */
export type Scale = "laptop" | "paper";

/** A table of the paper as a comparison: what is trained, and the published figures that stand beside ours. */
export interface Recipe {
  readonly title: string;
  readonly model: RunConfig["model"];
  readonly methods: readonly string[];
  readonly twin: boolean;
  /** Epochs are those of the first method; the others get as many as make the same layer evaluations. */
  readonly equalEvaluations: boolean;
  readonly columns: NonNullable<CompareOptions["columns"]>;
  readonly scales: Readonly<Record<Scale, RunConfigOverrides>>;
}

const published = "published, CIFAR-100 %";

/** By the name of the command. Published figures: DiffusionBlocks Tables 1 and 6; NoProp Table 1 (one-hot / 20 columns / prototypes). */
export const recipes: Readonly<Record<"vit" | "noprop", Recipe>> = {
  vit: {
    title: "Table 1: a vision transformer trained end to end, by Forward-Forward and in blocks",
    model: "vit",
    methods: ["end-to-end", "forward-forward", "contrastive-ff", "dblocks"],
    twin: true,
    equalEvaluations: false,
    columns: [{ title: published, values: { "end-to-end": "60.25", "forward-forward": "7.85", dblocks: "59.30" } }],
    scales: {
      paper: presets["paper-cifar100"],
      laptop: { network: { width: 64 }, training: { epochs: 10 } },
    },
  },
  noprop: {
    title: "Table 6: NoProp and DiffusionBlocks on NoProp's convolutional network",
    model: "noprop-cnn",
    methods: ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "dblocks"],
    twin: false,
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
      paper: { training: { epochs: 150, schedule: "constant", warmup: 0 } },
      laptop: { training: { epochs: 2 } },
    },
  },
};
