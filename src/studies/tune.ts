import { join } from "node:path";
import { type AnyTask, type ConfigPart, identityOf, type Registry, type RunConfig, type Score } from "../define/index.ts";
import { RunError } from "../errors.ts";
import { type Cell, formatNumber, type Section } from "../report/index.ts";
import { configHash, openRun } from "../run/index.ts";
import { type GridTrial, successiveHalving } from "./halving.ts";
import { type OwnProcesses, readRow, trainAlone, writeRow } from "./ownProcess.ts";

/** An option of training that can be tuned. Its grid is start · ratio^place, for whole numbers `place`. */
export interface TunedOption {
  /** As its flag has it. */
  readonly name: string;
  readonly key: "learningRate" | "warmup" | "weightDecay";
  readonly ratio: number;
  /** Where the grid starts if the option is 0. */
  readonly ifZero: number;
  /** The largest value. */
  readonly most: number;
}

export const tunedOptions: readonly TunedOption[] = [
  { name: "lr", key: "learningRate", ratio: 2, ifZero: 1e-3, most: Number.POSITIVE_INFINITY },
  { name: "warmup", key: "warmup", ratio: 2, ifZero: 0.05, most: 0.5 },
  { name: "weight-decay", key: "weightDecay", ratio: 4, ifZero: 0.01, most: Number.POSITIVE_INFINITY },
];

/** The first grid has two values below the configured one and two above it; it grows as far as 2^±10. */
const start = [-2, -1, 0, 1, 2];
const farthest = 10;
/** Lengths of the trials, of a whole training. */
const shares = [1 / 4, 1 / 2, 1];

/** One training of a tuning. */
export interface TuningTrial {
  readonly system: string;
  /** See {@link TunedOption}. */
  readonly option: string;
  readonly value: number;
  /** Of the system's whole training. */
  readonly share: number;
  /** On the validation part; undefined if the loss became NaN or infinite. */
  readonly score?: Score;
  readonly layerEvaluations: number;
  readonly seconds?: number;
}

/** What came of a tuning. */
export interface Tuning {
  readonly trials: readonly TuningTrial[];
  readonly chosen: readonly ChosenValue[];
}

export interface ChosenValue {
  readonly system: string;
  readonly option: string;
  readonly value: number;
  /** Whether the grid could not grow further on that side. */
  readonly isAtEdge: boolean;
}

export interface TuneOptions extends OwnProcesses {
  readonly registry: Registry;
  /** Each trial is a run in a folder of its own in here. */
  readonly path: string;
  readonly task: AnyTask;
  readonly dataName: string;
  readonly systems: readonly string[];
  /** Tuned one after another, each with the chosen values of those before. */
  readonly options: readonly TunedOption[];
  /** The configuration of a system, with this on top of it. */
  readonly configOf: (system: string, over: ConfigPart) => RunConfig;
  readonly layerEvaluationsOf: (config: RunConfig) => number;
  readonly onTrial?: ((trial: TuningTrial, isNew: boolean) => void) | undefined;
}

/**
 * Chooses options of training for each system by {@link successiveHalving}, by the result on a validation part: the test part is not
 * read. Every system makes as many trials of each length as the others. Trials that are in `path` are taken as they are.
 *
 * @returns undefined if it was stopped.
 * @throws {RunError} if a run fails. A loss that is not finite is no failure but the worst result.
 */
export async function tune(options: TuneOptions): Promise<Tuning | undefined> {
  const trials: TuningTrial[] = [];
  let chosen: readonly ChosenValue[] = [];
  for (const option of options.options) {
    const valueAt = (system: string, place: number): number => {
      const configured = options.configOf(system, {}).training[option.key];
      return Number(((configured || option.ifZero) * option.ratio ** place).toPrecision(4));
    };
    const before = chosen;
    const measure = async ({ system, place, share }: GridTrial): Promise<number | undefined> => {
      const trial = await tryOut(options, { system, option, value: valueAt(system, place), share, before });
      trials.push(trial);
      return trial.score && (trial.score.best === "min" ? 1 : -1) * trial.score.value;
    };
    const has = (place: number): boolean =>
      Math.abs(place) <= farthest && options.systems.every((system) => valueAt(system, place) <= option.most);
    try {
      const found = await successiveHalving({ systems: options.systems, start: start.filter(has), shares, has, measure });
      const values = Object.entries(found).map(([system, { place, isAtEdge }]): ChosenValue => {
        return { system, option: option.name, value: valueAt(system, place), isAtEdge };
      });
      chosen = [...chosen, ...values];
    } catch (error) {
      if (error instanceof Stopped) return undefined;
      throw error;
    }
  }
  return { trials, chosen };
}

/** Ends a search in the middle. */
class Stopped extends Error {}

/** Options of training with the values that were chosen for a system. */
export function chosenPart(chosen: readonly ChosenValue[], system: string): ConfigPart {
  const own = chosen.filter((one) => one.system === system);
  return { training: Object.fromEntries(own.map(({ option, value }) => [tunedOptions.find(({ name }) => name === option)!.key, value])) };
}

/** In place of the result of a training whose loss became NaN or infinite. */
const diverged: unique symbol = Symbol("diverged");

interface TrialOptions {
  readonly system: string;
  readonly option: TunedOption;
  readonly value: number;
  readonly share: number;
  readonly before: readonly ChosenValue[];
}

async function tryOut(options: TuneOptions, { system, option, value, share, before }: TrialOptions): Promise<TuningTrial> {
  const { registry, path, task, dataName, configOf, layerEvaluationsOf, onTrial, signal } = options;
  if (signal?.aborted) throw new Stopped();
  const { training } = configOf(system, {});
  const config = configOf(system, {
    data: { measuredOn: "validation" },
    training: {
      ...(chosenPart(before, system).training as object),
      [option.key]: value,
      epochs: training.epochs * share,
      ...(training.maxSteps !== undefined && { maxSteps: Math.ceil(training.maxSteps * share) }),
    },
    execution: { evaluateEvery: 0, keepLast: 1 },
  });
  const name = `${folderName(system)}-${option.name}-${value}-of-${share}`;
  const folder = await openRun(join(path, name), { create: true });
  const hash = configHash(identityOf(registry, config, dataName));
  const known = await readRow<TuningTrial>(folder, hash);
  if (known !== undefined) {
    onTrial?.(known, false);
    return known;
  }
  const result = await trainAlone(options, { name, config, folder }).catch((error: unknown): typeof diverged => {
    if (error instanceof RunError && error.code === "diverged") return diverged;
    throw error;
  });
  if (result === undefined) throw new Stopped();
  const trial: TuningTrial = {
    ...{ system, option: option.name, value, share },
    ...(result !== diverged && { score: task.scoreOf(result.evaluation), seconds: result.cost.seconds }),
    layerEvaluations: layerEvaluationsOf(config),
  };
  await writeRow(folder, hash, trial);
  onTrial?.(trial, true);
  return trial;
}

/** A system's name as that of a folder. */
export function folderName(system: string): string {
  return system.replace(/[^\w.-]+/g, "-");
}

/** The measure of a trial: what tests measure, on the validation part. */
export function validationTitle({ title }: Score): string {
  return title.startsWith("test ") ? title.replace("test", "validation") : `${title} on validation data`;
}

/** A tuning as sections of a report: what was chosen and what it cost, and every trial. */
export function tuningSections({ trials, chosen }: Tuning): readonly Section[] {
  const own = (system: string, option: string): readonly TuningTrial[] =>
    trials.filter((trial) => trial.system === system && trial.option === option);
  const rows = chosen.map(({ system, option, value, isAtEdge }): Cell[] => {
    const all = own(system, option);
    const grid = [...new Set(all.map((trial) => trial.value))].sort((a, b) => a - b);
    return [
      system,
      option,
      grid.map(String).join(", "),
      `${value}${isAtEdge ? ", at the edge" : ""}`,
      all.length,
      formatNumber(all.reduce((sum, { share }) => sum + share, 0)),
      all.reduce((sum, trial) => sum + trial.layerEvaluations, 0),
      formatNumber(all.reduce((sum, { seconds = 0 }) => sum + seconds, 0)),
    ];
  });
  const score = trials.find((trial) => trial.score !== undefined)?.score;
  const everyTrial = trials.map((trial): Cell[] => [
    trial.system,
    trial.option,
    String(trial.value),
    formatNumber(trial.share),
    trial.score === undefined ? "diverged" : { text: trial.score.value.toFixed(trial.score.digits + 1), value: trial.score.value },
    trial.layerEvaluations,
  ]);
  return [
    {
      heading: "Tuning",
      paragraphs: [
        "Chosen by successive halving on a validation part, the test part unread: every value of the grid in a quarter of a training, the better half in half of one, at least two in a whole one. All systems make as many trials of each length; where the best value of one was at an edge, the grid grew for all.",
      ],
      table: {
        columns: ["method", "option", "grid", "chosen", "trials", "whole trainings", "layer evaluations", "seconds"],
        rows,
      },
    },
    {
      heading: "Every trial",
      isFolded: true,
      table: {
        columns: [
          ...["method", "option", "value", "share of a training"],
          score === undefined ? "score" : validationTitle(score),
          "layer evaluations",
        ],
        rows: everyTrial,
      },
    },
  ];
}
