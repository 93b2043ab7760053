import { presetPart } from "../../define/index.ts";
import { vitModel } from "../../models/index.ts";
import { systemsNamed } from "../systems.ts";
import type { StudyTable } from "../table.ts";

export const vitTable: StudyTable = {
  name: "vit",
  title: "Table 1: a vision transformer trained end to end, by Forward-Forward and in blocks",
  model: "vit",
  systems: (_, registry) => systemsNamed(registry, vitModel, ["end-to-end", "forward-forward", "contrastive-ff", "blocks", "shallow-twin"]),
  columns: [{ title: "published, CIFAR-100 %", values: { "end-to-end": "60.25", "forward-forward": "7.85", blocks: "59.30" } }],
  scales: {
    laptop: { model: { width: 64 }, training: { epochs: 10 } },
    gpu: { model: { width: 128, numLayers: 12 }, training: { epochs: 60 } },
    paper: presetPart(vitModel.presets["paper-cifar100"]!),
  },
};
