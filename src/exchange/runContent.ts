import type { RunConfig } from "../define/index.ts";
import type { TrainingMethod } from "../train/index.ts";

/** A run as values, wherever its files lie. */
export interface RunContent {
  readonly config: RunConfig;
  readonly method: TrainingMethod;
  /** The kept part of the data that it was trained on. */
  readonly info: { readonly name: string };
}
