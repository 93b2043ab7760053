import type { LayerMemory } from "../nn/index.ts";
import type { Key } from "../random.ts";
import type { HostArray, Tensor, TensorType } from "../tensor/index.ts";
import type { UnitOrder } from "./order.ts";
import type { Call, PredictionProgram } from "./program.ts";

/**
 * The parameters that one training step may update, and those that it reads besides. Paths are unique in a run: parameters with one path
 * are one parameter.
 */
export interface Unit {
  readonly name: string;
  readonly trainable: ReadonlyMap<string, Tensor>;
  /** Parameters that the step reads and never changes. */
  readonly frozen: ReadonlyMap<string, Tensor>;
  /** Constants of the method that the unit was trained with; all units of a run must hold the same. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /**
   * Layer evaluations of one sample in one step: a layer that is run forward and back counts as one, forward alone
   * as {@link forwardCost}.
   * The currency in which methods are compared.
   */
  readonly layerEvaluations: number;
  /** False for a unit without an answer of its own, such as a layer without a classifier: it is not evaluated alone. True by default. */
  readonly answersAlone?: boolean;
}

/** Cost of a layer that is run forward alone, in layer evaluations: the backward pass takes twice as long as the forward pass. */
export const forwardCost: number = 1 / 3;

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

/** Ranges of noise levels or times, one for each unit. */
export interface RangePartition {
  readonly ranges: readonly (readonly [low: number, high: number])[];
  readonly trainingRanges: readonly (readonly [low: number, high: number])[];
}

/** Choices of the reverse process that an exported network holds; a network without one ignores them. */
export interface ExportSampling {
  /** Steps of the reverse process; the method's own by default. */
  readonly numSteps?: number | undefined;
  /** Classifier-free guidance of images; 1 by default. */
  readonly guidance?: number | undefined;
}

/** A trained network as programs that other software can run. */
export interface ExportedNetwork {
  /** Of each block, its estimate; none where the network has no blocks. */
  readonly blocks: readonly PredictionProgram[];
  /** The answer of all blocks together, with the noise that it starts from as inputs. */
  readonly whole: PredictionProgram;
  /** Of the noise, where the programs of the blocks take scaled noise levels: see `precondition`. */
  readonly scaling?: { readonly sigmaData: number; readonly preconditioning?: "edm" | "ddpm" | undefined };
  /** What a reader of the files wants to know of the reverse process. JSON. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Some inputs of `whole`, and the answer that prediction gives to them, by name: what an export is checked against. */
  example(call: Call, batchSize: number, key: Key): Promise<ExportExample>;
}

/** Inputs and outputs of some items, by name. */
export interface ExportExample {
  /** Items, at most the batch size. */
  readonly count: number;
  readonly inputs: Readonly<Record<string, HostArray>>;
  readonly outputs: Readonly<Record<string, HostArray>>;
}

/** A way of training a network. One loop trains them all; one meter measures them all. */
export interface TrainingMethod {
  readonly name: string;
  /** The type of the input of a batch of this size. */
  inputType(batchSize: number): TensorType;
  readonly units: readonly Unit[];
  readonly order: UnitOrder;
  /** The noise levels, or times, of each unit, and its layers: of methods whose units own a range. */
  readonly partition?: RangePartition;
  readonly layersPerBlock?: readonly number[];
  /** Traces the objective of one unit. Nothing is computed here. */
  objective(unit: Unit, batch: TracedBatch, key: Key, memory: LayerMemory): Objective;
  /** Inputs of an objective besides the batch, by name: made before each step by programs, with the parameters as they then are. */
  prepare?(unit: Unit, batch: Batch, key: Key, call: Call): Promise<Readonly<Record<string, HostArray>>>;
  /** The programs that prediction runs: what is exported, planned and verified. */
  readonly programs: readonly PredictionProgram[];
  /** The trained network for other software; undefined where its answer is no one program. */
  exported?(sampling?: ExportSampling): Promise<ExportedNetwork>;
}

/** A method whose network answers with a class. */
export interface Classifier extends TrainingMethod {
  readonly numClasses: number;
  /** Whether the answer depends on the key: the noise that a reverse process starts from. */
  readonly isRandom: boolean;
  /**
   * Class scores, [batch, classes], by running its programs. Randomness derives from `key` alone.
   * With `unit`, that unit answers alone, from the input only: what it has learned, measurable before the others are trained.
   */
  predict(call: Call, input: HostArray, batchSize: number, key: Key, unit?: Unit): Promise<Float32Array>;
}

/** A text that grows token by token, or some tokens at a time; keys and values of what was read are kept. */
export interface Generation {
  /** Tokens that are decided together. */
  readonly groupSize: number;
  /**
   * Reads the group before the next one of each text, int32 [batch, groupSize], at first the start `vocabSize` in
   * its last place, and gives the logits of the next, [batch, groupSize, vocabSize].
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
  /** Whether −ln p of the model is this number, or at most this on average over texts. */
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

/** A method whose network gives the distribution of the next token. */
export interface LanguageModel extends TrainingMethod {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Starts as many texts as there are keys, at most `batchSize`; randomness derives from the keys alone. */
  generate(call: Call, batchSize: number, keys: readonly Key[]): Generation;
  /** By name, the first being what `generate` draws from; with `unit`, of that unit alone. */
  likelihoods(call: Call, batchSize: number, text: MeasuredText, key: Key, unit?: Unit): Promise<Readonly<Record<string, Likelihood>>>;
}
