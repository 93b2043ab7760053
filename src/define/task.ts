import type { z } from "zod";
import type { PrefetchBatches } from "../data/index.ts";
import type { LogNormalNoise } from "../diffusion/index.ts";
import type { TrainedModel, TrainedUse } from "../inference/index.ts";
import type { Section } from "../report/index.ts";
import type { Device } from "../runtime/index.ts";
import type { BatchSource, ParameterValues, TrainingMethod, Unit } from "../train/index.ts";

/** Options of the batches of a run. */
export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** Batches of one update: as many stay valid at the same time. */
  readonly accumulate: number;
}

export interface EvaluationOptions {
  readonly device: Device;
  readonly values: ParameterValues;
  readonly batchSize: number;
  /** Starting noises, where predictions have some. */
  readonly seeds: number;
}

/** One number that says how good a system is: what comparisons are made by. */
export interface Score {
  /** "test accuracy %", "bits a token". */
  readonly title: string;
  readonly value: number;
  readonly best: "max" | "min";
  /** Digits behind the point. */
  readonly digits: number;
  readonly hint?: string;
}

/**
 * The task of a run: its data, the batches made of them, how the result is evaluated and shown. Runs, reports and comparisons know
 * nothing else of it. Made by {@link defineTask}.
 *
 * @typeParam Data what it is trained on, whole.
 * @typeParam Info what a trained model must know of its data: shapes, classes, normalisation, tokenizer. JSON; it is kept with the run.
 * @typeParam Shape what a network must know of the data.
 * @typeParam Method what can be evaluated.
 * @typeParam Options of the data: augmentation, tokenizer.
 */
export interface Task<Data, Info, Shape, Method extends TrainingMethod, Evaluation, Model extends TrainedModel, Options> {
  readonly name: string;
  /** The name of samples, in the plural: "images", "sequences". */
  readonly samples: string;
  /** The unit in which data are counted while they are read: "images", "tokens". */
  readonly counted: string;
  /** How many of these a sample is: one image, the tokens of a sequence. */
  countedPerSample(options: NoInfer<Options>): number;
  /** Of the training loss: "nats". */
  readonly lossUnit: string;
  /** Description of --data for help, and its default. */
  readonly pathDescription: string;
  readonly defaultPath: string;
  /** Options of the data besides their path. */
  readonly schema: z.ZodType<Options>;
  /**
   * The data with a validation part in place of the test part, which is not read: what options are chosen by. It is cut from the
   * training part, where the data have none.
   *
   * @throws {UsageError} if a part would be empty.
   */
  validationOf(data: Data, options: Options): Data;
  /** The part of the data that is kept with a run. */
  infoOf(data: Data): Info;
  /** Sizes of common data, for plans and cuts before there are any: as much of their info as {@link shapeOf} reads. */
  readonly commonInfo: Partial<NoInfer<Info>>;
  /** Other data as a network takes them that was trained on data of this info: in its normalisation. As they are, by default. */
  readsAs?(data: Data, info: NoInfer<Info>): Data;
  /** @throws {UsageError} if the data do not fit any network, such as images that are not square. */
  shapeOf(info: Info, options: Options): Shape;
  /** "10000 images" */
  amountOf(data: Data): string;
  /**
   * Training batches by number.
   *
   * @param prefetch makes image batches in a thread of its own, where there is one.
   * @throws {UsageError} or {DataError} if the data are too few for a batch.
   */
  batches(data: Data, options: Options, batch: BatchOptions, prefetch?: PrefetchBatches): BatchSource & Partial<AsyncDisposable>;
  /** Measures one unit while it trains. */
  evaluateUnit(
    method: Method,
    unit: Unit,
    data: Data,
    options: Omit<EvaluationOptions, "seeds">,
  ): Promise<Readonly<Record<string, number>>>;
  evaluate(method: Method, data: Data, options: EvaluationOptions): Promise<Evaluation>;
  /** The loss that training minimises at a noise level, on held-out data; undefined for methods without noise levels. */
  lossByLevel(method: Method, data: Data, options: Omit<EvaluationOptions, "seeds">): LossByLevel | undefined;
  scoreOf(evaluation: Evaluation): Score;
  /** The cost in what {@link evaluateUnit} measured, lower being better; undefined where a unit cannot be measured alone. */
  unitCostOf(metrics: Readonly<Record<string, number>>): number | undefined;
  /** An evaluation as lines for a terminal. */
  textOf(evaluation: Evaluation): string;
  /** More lines, where they were asked for: one for each class. */
  detailsOf(evaluation: Evaluation): readonly string[];
  /** One line of what {@link evaluateUnit} measured. */
  unitTextOf(metrics: Readonly<Record<string, number>>): string;
  /** An evaluation as sections of a report. */
  sectionsOf(evaluation: Evaluation, method: Method, data: Data): readonly Section[];
  /** The data, as a report shows them. */
  dataSection(data: Data): Section;
  /** Some of what a trained model draws, as a report shows it; undefined where that cannot be shown. */
  samplesSection?(model: Model): Promise<Section | undefined>;
  /** The trained network as a value. */
  trained(method: Method, info: Info, use: TrainedUse): Model;
  /** Metrics that a report draws over the steps, besides loss and gradient. */
  readonly curves: readonly Curve[];
}

/** A curve of a report. */
export interface Curve {
  readonly metric: string;
  readonly title: string;
  readonly label: string;
}

/** Losses by noise level; the measure is disposed of when all levels are done. */
export interface LossByLevel extends AsyncDisposable {
  readonly noise: LogNormalNoise;
  /** @param level the number of the level, from which the noise derives. */
  lossAt(sigma: number, level: number): Promise<number>;
}

// biome-ignore lint/suspicious/noExplicitAny: a task where the compiler need not know which; what goes in came out of the same task.
export type AnyTask = Task<any, any, any, any, any, any, any>;

/** Defines a task: what it returns is given to the models that are for it. */
export function defineTask<
  Data extends { readonly name: string },
  Info extends { readonly name: string },
  Shape,
  Method extends TrainingMethod,
  Evaluation,
  Model extends TrainedModel,
  Schema extends z.ZodObject,
>(
  definition: Omit<Task<Data, Info, Shape, Method, Evaluation, Model, z.output<Schema>>, "schema"> & { readonly schema: Schema },
): Task<Data, Info, Shape, Method, Evaluation, Model, z.output<Schema>> {
  return Object.freeze(definition) as unknown as Task<Data, Info, Shape, Method, Evaluation, Model, z.output<Schema>>;
}
