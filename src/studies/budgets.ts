import type { Chart, Section, Series } from "../report/index.ts";
import type { ComparedRun, ComparedSystem } from "./comparedRun.ts";

/** A system at a budget, over its seeds. */
export interface BudgetPoint {
  readonly name: string;
  readonly curve: string;
  readonly score: number;
  readonly layerEvaluations: number;
  readonly seconds: number;
  /** Measured, or predicted where it was not. */
  readonly bytes: number;
}

/** The mean of each row that is a point of a curve. */
export function budgetPoints(systems: readonly ComparedSystem[], runs: readonly ComparedRun[]): readonly BudgetPoint[] {
  return systems.flatMap(({ name, curve }) => {
    const own = runs.filter(({ method }) => method === name);
    if (curve === undefined || own.length === 0) return [];
    const mean = (of: (run: ComparedRun) => number): number => own.reduce((sum, run) => sum + of(run), 0) / own.length;
    return [
      {
        name,
        curve,
        score: mean(({ score }) => score.value),
        layerEvaluations: own[0]!.layerEvaluations,
        seconds: mean(({ seconds = Number.NaN }) => seconds),
        bytes: mean(({ trainingBytes, predictedBytes }) => trainingBytes ?? predictedBytes),
      },
    ];
  });
}

/**
 * The points that no other one beats: none has as few layer evaluations, as little memory and as good a score, one of them better.
 *
 * @param best whether small or large scores are good.
 */
export function paretoFront(points: readonly BudgetPoint[], best: "min" | "max"): readonly BudgetPoint[] {
  const sign = best === "min" ? 1 : -1;
  const costs = ({ layerEvaluations, bytes, score }: BudgetPoint): readonly number[] => [layerEvaluations, bytes, sign * score];
  const beats = (one: readonly number[], other: readonly number[]): boolean =>
    one.every((cost, i) => cost <= other[i]!) && one.some((cost, i) => cost < other[i]!);
  return points.filter((point) => !points.some((other) => beats(costs(other), costs(point))));
}

/** Quality against layer evaluations and against time, a curve for each system; nothing unless there are several budgets. */
export function budgetSections(systems: readonly ComparedSystem[], runs: readonly ComparedRun[]): readonly Section[] {
  const points = budgetPoints(systems, runs);
  const score = runs[0]?.score;
  if (points.length === 0 || score === undefined) return [];
  const curves = [...new Set(points.map(({ curve }) => curve))];
  const chart = (title: string, xLabel: string, of: (point: BudgetPoint) => number): Chart => ({
    title,
    xLabel,
    yLabel: score.title,
    logX: true,
    sizeLabel: "training memory, MB",
    series: curves.map((name): Series => {
      const own = points.filter(({ curve }) => curve === name);
      return { name, points: own.map((point) => [of(point), point.score]), sizes: own.map(({ bytes }) => bytes / 1e6) };
    }),
  });
  const front = paretoFront(points, score.best).map(({ name }) => name);
  return [
    {
      heading: "Quality and what it costs",
      paragraphs: [
        "The area of a mark is the memory of training.",
        `No other row is as good for as few layer evaluations and as little memory: ${front.join(", ")}.`,
      ],
      charts: [
        chart("Against layer evaluations", "layer evaluations", ({ layerEvaluations }) => layerEvaluations),
        chart("Against time", "training time, s", ({ seconds }) => seconds),
      ],
    },
  ];
}
