import type { MetricRecord, RunConfig, StepReport } from "diffusion-blocks";

/** Where the worker computes. */
export type Backend = "wasm" | "webgpu";

/** Predicted memory of one unit's step, in bytes. */
export interface UnitMemory {
  readonly unit: string;
  readonly parameters: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
}

/** What is known of a method before it is trained. */
export interface Description {
  readonly units: readonly string[];
  /** What the ranges are of: noise levels, or times by which tokens are hidden. */
  readonly axis: "sigma" | "time";
  /** Of each unit, its levels where it learns and where it answers; empty for methods without. */
  readonly ranges: readonly (readonly [low: number, high: number])[];
  readonly trainingRanges: readonly (readonly [low: number, high: number])[];
  readonly layersPerBlock: readonly number[];
  readonly memory: readonly UnitMemory[];
  readonly parameters: number;
}

export interface Opened extends Description {
  readonly config: RunConfig;
  readonly classNames: readonly string[];
  readonly lossUnit: string;
  /** Updates of each unit. */
  readonly steps: number;
  /** Updates that are saved. */
  readonly done: Readonly<Record<string, number>>;
  readonly records: readonly MetricRecord[];
  readonly device: string;
  readonly threads: number;
}

/** One step of one unit, as the page shows it. */
export interface StepEvent extends Pick<StepReport, "step" | "loss" | "gradientNorm" | "learningRate" | "stepMs" | "metrics"> {
  readonly unit: string;
}

export interface Stopped {
  readonly finished: boolean;
  readonly done: Readonly<Record<string, number>>;
}

export interface Evaluated {
  readonly title: string;
  readonly value: number;
  readonly digits: number;
  readonly text: string;
}

export interface LossAtLevel {
  readonly sigma: number;
  readonly loss: number;
  readonly block: number;
}

/** A picture as bytes, planar RGB or grey. */
export interface Picture {
  readonly bytes: Uint8Array;
  readonly channels: number;
  readonly size: number;
}

/** What one unit, or all of them together, says of a picture. */
export interface Answer {
  readonly name: string;
  readonly probabilities: readonly number[];
}

export interface Answers {
  readonly picture: Picture;
  readonly label: number;
  readonly answers: readonly Answer[];
}

/** What one attention layer attends to: of each head and each token, the share of every token, [heads, tokens, tokens]. */
export interface AttentionLayer {
  readonly heads: number;
  readonly tokens: number;
  readonly weights: Float32Array;
}

/** What a unit attends to in a picture or a text, as it stands before it. */
export interface Attention {
  readonly shown: { readonly picture: Picture } | { readonly symbols: readonly (string | null)[] };
  /** The noise level, or the time, at which it is asked: "σ 0.50". */
  readonly level: string;
  /** Names of the tokens in front of those of the picture. */
  readonly lead: readonly string[];
  readonly layers: readonly AttentionLayer[];
}

/** A moment of drawing pictures. */
export interface WalkFrame {
  readonly sigma: number;
  readonly block: number;
  readonly pictures: readonly Picture[];
}

/** A moment of revealing texts: the symbols of each, null where they are hidden. */
export interface RevealFrame {
  readonly time: number;
  readonly block: number;
  readonly texts: readonly (readonly (string | null)[])[];
}

/** Ways to write a run for other software. */
export type ExportFormat = "onnx" | "safetensors";

export interface FileBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What a worker can be asked for, each with its argument and its answer. */
export interface Requests {
  describe: { readonly ask: { readonly config: RunConfig }; readonly answer: Description };
  open: {
    readonly ask: { readonly run: string; readonly config?: RunConfig; readonly backend: Backend; readonly threads: number };
    readonly answer: Opened;
  };
  train: { readonly ask: { readonly once: boolean }; readonly answer: Stopped };
  pause: { readonly ask: object; readonly answer: null };
  rate: { readonly ask: { readonly learningRate: number }; readonly answer: RunConfig };
  evaluate: { readonly ask: object; readonly answer: Evaluated };
  lossByNoise: { readonly ask: object; readonly answer: readonly LossAtLevel[] };
  pictures: { readonly ask: { readonly count: number }; readonly answer: readonly Picture[] };
  classify: { readonly ask: { readonly index: number }; readonly answer: Answers };
  /** Of a picture or a text of the test part, by its number. */
  attention: { readonly ask: { readonly index: number; readonly unit: number }; readonly answer: Attention };
  draw: {
    readonly ask: { readonly count: number; readonly label?: number; readonly seed: number; readonly steps: number };
    readonly answer: readonly WalkFrame[];
  };
  reveal: {
    readonly ask: { readonly count: number; readonly prompt: string; readonly seed: number };
    readonly answer: readonly RevealFrame[];
  };
  export: { readonly ask: { readonly run: string; readonly format: ExportFormat }; readonly answer: readonly FileBytes[] };
  /** Makes a run, called `run`, of the files of a network. */
  import: {
    readonly ask: { readonly run: string; readonly files: readonly FileBytes[] };
    readonly answer: { readonly model: string; readonly method: string; readonly parameters: number };
  };
}

export type RequestName = keyof Requests;

export interface Request {
  readonly id: number;
  readonly name: RequestName;
  readonly ask: unknown;
}

/** What a worker says: answers, errors, and what happens while it trains. */
export type Message =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string; readonly code: string }
  | { readonly steps: readonly StepEvent[] };
