import type { ConfigPart, Score } from "../define/index.ts";

/** One row of a comparison: its name, its method, and what it sets in the configuration. */
export interface ComparedSystem {
  readonly name: string;
  readonly method: string;
  readonly overrides: ConfigPart;
  /**
   * `updates`: it trains as many epochs as the common options say; `evaluations`: as many as make the layer evaluations of the first row. By
   * default what the comparison says.
   */
  readonly budget?: "updates" | "evaluations";
  /** It trains so many times as long as it would without: one of the budgets of a curve. */
  readonly times?: number;
  /** The curve that it is a point of. */
  readonly curve?: string;
  /** The row whose tuned options it takes, where both learn the same or this one follows from that. */
  readonly tunedAs?: string;
  /** The row before it by whose loss at each noise level, with the same seed, its noise range is cut. */
  readonly cutByLossOf?: string;
}

/** A column of the table that says something of each system, after its name. */
export interface ExtraColumn {
  readonly title: string;
  readonly values: Readonly<Record<string, string>>;
}

/** Options of judging images of a diffusion model: see `imageFid`. */
export interface FidMeasure {
  /** An ONNX file from images to features. */
  readonly features: string;
  readonly samples: number;
  readonly guidance: number;
  readonly steps: number;
}

/** One training of one system. */
export interface ComparedRun {
  /** The name of the row. */
  readonly method: string;
  readonly seed: number;
  /** On held-out data; of an image generator the FID of three evaluations on average. */
  readonly score: Score;
  /** Of the training, at its peak. */
  readonly learningRate: number;
  /** Units that are trained, each with so many updates on so many samples. */
  readonly units: number;
  readonly updates: number;
  readonly samples: number;
  /** Samples times layers that training went through. */
  readonly layerEvaluations: number;
  /** Of training; undefined for a run that was stopped and resumed. */
  readonly seconds?: number | undefined;
  /**
   * The most resident memory while training, in a process of its own, above that before the first step; undefined where it cannot be
   * measured, and for a run that was stopped and resumed.
   */
  readonly trainingBytes?: number | undefined;
  /** The prediction of `dblocks plan`. */
  readonly predictedBytes: number;
  /** Parameters that have a gradient at the same time: those of the largest unit. */
  readonly gradientParameters: number;
}
