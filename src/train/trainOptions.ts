import type { ParameterValues } from "./caller.ts";
import type { OnDivergence } from "./course.ts";
import type { Batch, Unit } from "./method.ts";
import type { UnitSchedule } from "./order.ts";
import type { MetricValue, RunStore } from "./runStore.ts";
import type { StepReport, TrainerConfig } from "./trainer.ts";

/** Data by number: the batch of a step is a function of the step, so a resumed run sees what it would have seen. */
export interface BatchSource {
  readonly stepsPerEpoch: number;
  at(index: number): Batch | Promise<Batch>;
}

export interface TrainOptions extends Omit<TrainerConfig, "unit" | "shared"> {
  readonly batches: BatchSource;
  /** Updates of each unit. */
  readonly steps: number;
  /** By default one unit after another where the method's order permits: see `scheduleFor`. */
  readonly schedule?: UnitSchedule;
  /** Names of the units to train; all by default. */
  readonly units?: readonly string[] | undefined;
  /** Batches that one update is made from; 1 by default. */
  readonly accumulate?: number;
  /** Where the run is kept, and resumed from; by default nothing is saved or logged. */
  readonly store?: RunStore | undefined;
  /**
   * Steps between two records of the log, 10 by default, and between two saved states, 200 by default; the last step
   * is logged and saved in any case.
   */
  readonly logEvery?: number;
  readonly saveEvery?: number;
  /** Whether the parameters of finished units are copied for {@link TrainResult.values}. By default they are where there is no store. */
  readonly keepValues?: boolean;
  /** Stops after the current step; what was done is saved. */
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (unit: Unit, report: StepReport) => void;
  /** Evaluates a unit with its present parameters; called every `evaluateEvery` steps, if given, and after the last. */
  readonly evaluate?: (unit: Unit, values: ParameterValues) => Promise<Readonly<Record<string, number>>>;
  readonly evaluateEvery?: number;
  /** The cost in what `evaluate` measured, lower being better; undefined where a unit cannot be measured alone. */
  readonly costOf?: (metrics: Readonly<Record<string, number>>) => number | undefined;
  /** Evaluations without a lower cost after which a unit stops; units that depend on each other stop together, by their mean. */
  readonly patience?: number | undefined;
  /** Whether the store keeps the state with the lowest cost, which finished units then hand on; `patience` implies it. */
  readonly keepBest?: boolean;
  /**
   * What is done where a loss, a gradient or a weight is no number: "stop" throws; "skip" leaves the step out; "restore" goes back to the
   * newest saved state, or the start, at half the learning rate.
   */
  readonly onDivergence?: OnDivergence;
  /** Called with every step that was left out, and with every restoration. */
  readonly onDiverged?: (unit: Unit, message: string) => void;
  /** More values for the log beside a unit's step, counted from 1. */
  readonly notesAt?: (unit: string, step: number) => Readonly<Record<string, MetricValue>>;
  readonly onEvaluated?: (unit: Unit, step: number, metrics: Readonly<Record<string, number>>) => void;
  /** Called when a unit has made its last step, while its parameters are in memory. */
  readonly onUnitDone?: (unit: Unit, values: ParameterValues) => void;
}

export interface TrainResult {
  /** Whether every unit made all its steps or stopped early; false after the signal. */
  readonly finished: boolean;
  /** Updates made of each unit, in this call and before. */
  readonly steps: Readonly<Record<string, number>>;
  /**
   * The parameters of the finished units, as prediction uses them: the averages where they were kept, else the values.
   *
   * @throws {UsageError} `valuesNotKept` for a parameter of a unit that is not finished, or if values are not kept.
   */
  readonly values: ParameterValues;
}
