import type { ConfigPart, Registry } from "../define/index.ts";
import type { ComparedSystem, ExtraColumn } from "./comparedRun.ts";

/** `paper`: as published, weeks on a CPU. `gpu`: smaller, hours on one GPU. `laptop`: the same comparison in an evening on two cores. */
export const scales = ["laptop", "gpu", "paper"] as const;
export type Scale = (typeof scales)[number];

/** A table of the paper as a comparison: the systems that are trained, and the published figures beside ours. */
export interface StudyTable {
  /** As the command takes it. */
  readonly name: string;
  readonly title: string;
  /** Of the paper, such as "1": empty for a question of our own. */
  readonly paper: string;
  /** What the published figures were measured on, its size (images for training, or tokens), and what a model knows of it. */
  readonly published: { readonly data: string; readonly amount: number; readonly info: object };
  readonly model: string;
  systems(scale: Scale, registry: Registry): readonly ComparedSystem[];
  /** Epochs are those of the first system; the others get as many as make the same layer evaluations. */
  readonly equalEvaluations?: boolean;
  readonly columns: readonly ExtraColumn[];
  readonly scales: Readonly<Record<Scale, ConfigPart>>;
}

/** A row that is trained in blocks, with something else set. */
export function inBlocks(name: string, { method = {}, ...overrides }: ConfigPart = {}): ComparedSystem {
  return { name, method: "blocks", overrides: { ...overrides, method } };
}
