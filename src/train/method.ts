import type { Key } from "../random.ts";
import type { HostArray, Tensor, TensorType } from "../tensor/index.ts";

/** What one training step may update, and what it reads besides. Paths are unique in a run: parameters with one path are one parameter. */
export interface Unit {
  readonly name: string;
  readonly trainable: ReadonlyMap<string, Tensor>;
  /** Parameters that the step reads and never changes. */
  readonly frozen: ReadonlyMap<string, Tensor>;
  /** Constants of the method that the unit was trained with; all units of a run must hold the same. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Layers that one sample passes through in one step, forward and back; forward alone counts a third, for the way back is twice as long. The currency in which methods are compared. */
  readonly numLayers: number;
  /** It has no answer of its own, such as a layer without a classifier: it is not evaluated alone. */
  readonly isSilent?: boolean;
}

/** What a layer counts that is run forward alone: see `Unit.numLayers`. */
export const forward: number = 1 / 3;

/** The symbols that a step's data enter by. */
export interface TracedBatch {
  readonly input: Tensor;
  readonly labels: Tensor;
}

/** One step's data on the host, in the shapes of the traced batch. */
export interface Batch {
  readonly input: HostArray;
  readonly labels: Int32Array;
}

/** A scalar to minimise, and scalars to look at. */
export interface Objective {
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

export interface ObjectiveOptions {
  /** Keep only the input of each layer for the backward pass and compute the layer again there. */
  readonly checkpointing: boolean;
}

/** Runs one of a method's prediction programs. */
export type CallProgram = (program: string, feeds: Readonly<Record<string, HostArray>>) => Promise<Readonly<Record<string, HostArray>>>;

/** Ranges of noise levels or times, one for each unit. */
export interface RangePartition {
  readonly ranges: readonly (readonly [low: number, high: number])[];
  readonly trainingRanges: readonly (readonly [low: number, high: number])[];
}

/** A way of training a network. One loop trains them all; one meter measures them all. */
export interface TrainingMethod {
  readonly name: string;
  /** The type of the input of a batch of this size. */
  inputType(batchSize: number): TensorType;
  readonly units: readonly Unit[];
  /** Whether a unit can be trained without the others: in sequence, or on a machine of its own. */
  readonly independentUnits: boolean;
  /** Units read the finished parameters of those before them, and of no others: they can be trained one after another, in their order. */
  readonly inOrder?: boolean;
  /** The noise levels, or times, of each unit, and its layers: of methods whose units own a range. */
  readonly partition?: RangePartition;
  readonly layersPerBlock?: readonly number[];
  /** Parameters to be averaged over the units now and then: `paths` are alike but for the unit's name. */
  readonly averaging?: { readonly every: number; readonly groups: readonly (readonly string[])[] };
  /** Traces the objective of one unit. Nothing is computed here. */
  objective(unit: Unit, batch: TracedBatch, key: Key, options: ObjectiveOptions): Objective;
  /** What an objective takes besides the batch, by the names of its inputs: made before each step by programs of the method, with the parameters as they then are. */
  prepare?(unit: Unit, batch: Batch, key: Key, call: CallProgram): Promise<Readonly<Record<string, HostArray>>>;
  /** The graphs that prediction runs, by name, each with its outputs. */
  programs(batchSize: number): Readonly<Record<string, Readonly<Record<string, Tensor>>>>;
}

/** A method whose network answers with a class. */
export interface Classifier extends TrainingMethod {
  /**
   * Class scores, [batch, classes], by running its programs. Randomness derives from `key` alone.
   * With `unit`, that unit answers alone, from the input only: what it has learned, measurable before the others are trained.
   */
  predict(call: CallProgram, input: HostArray, batchSize: number, key: Key, unit?: Unit): Promise<Float32Array>;
}

/** A text that grows token by token, or some tokens at a time; what was read is kept and not read again. */
export interface Generation {
  /** Tokens that are decided together. */
  readonly groupSize: number;
  /**
   * Reads the group before the next one of each text, int32 [batch, groupSize], at first the start `vocabSize` in its last place, and gives the scores of the next, [batch, groupSize, vocabSize].
   *
   * @param known of the next group, the tokens that are decided already, -1 for the others: the others are made to agree with them.
   */
  next(before: Int32Array, known?: Int32Array): Promise<Float32Array>;
}

/** Likelihoods of text, in nats for each token. */
export interface Likelihood {
  readonly nats: number;
  /** Its standard error, where it was estimated with random numbers. */
  readonly error?: number;
  /** What is known of −ln p of the model: it is this, or at most this on average over texts. */
  readonly kind: "exact" | "bound";
}

/** Sequences of tokens one after another, and which tokens of each are counted. */
export interface MeasuredText {
  readonly tokens: Int32Array;
  readonly count: number;
  /** Tokens of a sequence before this one are context only. */
  readonly from: (sequence: number) => number;
  /** Tokens from this one on are not counted; by default all are. */
  readonly to?: number;
}

/** A method whose network says which token comes next. */
export interface LanguageModel extends TrainingMethod {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Starts as many texts as there are keys, at most `batchSize`; randomness derives from the keys alone. */
  generate(call: CallProgram, batchSize: number, keys: readonly Key[]): Generation;
  /** By name, the first being what `generate` draws from; with `unit`, of that unit alone. */
  likelihoods(
    call: CallProgram,
    batchSize: number,
    text: MeasuredText,
    key: Key,
    unit?: Unit,
  ): Promise<Readonly<Record<string, Likelihood>>>;
}
