import type { Cell, Column, Table } from "../report/index.ts";
import type { ComparedRun, ExtraColumn } from "./comparedRun.ts";

/** One line for each run, as in compare.csv. */
export const runColumns: string[] = [
  "method",
  "seed",
  "score",
  "of",
  "learning rate",
  "units",
  "updates of each",
  "samples of each",
  "layer evaluations",
  "seconds",
  "training memory MB",
  "predicted MB",
  "parameters with gradients",
];

export function runCells(run: ComparedRun): Cell[] {
  return [
    run.method,
    run.seed,
    run.score.value,
    run.score.title,
    run.learningRate,
    run.units,
    run.updates,
    run.samples,
    run.layerEvaluations,
    run.seconds ?? null,
    run.trainingBytes === undefined ? null : run.trainingBytes / 1e6,
    run.predictedBytes / 1e6,
    run.gradientParameters,
  ];
}

/** One row for each system, over its seeds. */
export function comparisonTable(methods: readonly string[], runs: readonly ComparedRun[], more: readonly ExtraColumn[]): Table {
  const score = runs[0]?.score;
  const columns: (string | Column)[] = [
    "method",
    ...more.map(({ title }) => title),
    ...(score === undefined
      ? ["score"]
      : [
          {
            title: score.title,
            best: score.best,
            hint: [...(score.hint === undefined ? [] : [score.hint]), "± over the seeds"].join("; "),
          },
        ]),
    { title: "learning rate", align: "right" },
    { title: "updates", hint: "of each unit, where there are several" },
    { title: "samples seen", hint: "by each unit" },
    "layer evaluations",
    { title: "training time", best: "min" },
    { title: "training memory", best: "min", hint: "largest resident memory above that before the first step, in a fresh process" },
    { title: "predicted", hint: "by dblocks plan" },
    { title: "parameters with gradients", best: "min" },
  ];
  const rows = methods.flatMap((method): Cell[][] => {
    const own = runs.filter((run) => run.method === method);
    if (own.length === 0) return [];
    const scores = own.map((run) => run.score.value);
    const seconds = own.flatMap((run) => run.seconds ?? []);
    const memory = own.flatMap(({ trainingBytes }) => trainingBytes ?? []);
    const digits = own[0]!.score.digits;
    const spread = scores.length > 1 ? ` ± ${deviation(scores).toFixed(digits)}` : "";
    return [
      [
        method,
        ...more.map(({ values }) => values[method] ?? null),
        { text: `${mean(scores).toFixed(digits)}${spread}`, value: mean(scores) },
        String(own[0]!.learningRate),
        { text: `${own[0]!.units > 1 ? `${own[0]!.units} × ` : ""}${own[0]!.updates.toLocaleString("en")}`, value: own[0]!.updates },
        own[0]!.samples,
        own[0]!.layerEvaluations,
        seconds.length === 0 ? null : { text: `${mean(seconds).toFixed(0)} s`, value: mean(seconds) },
        memory.length === 0 ? null : { text: `${(mean(memory) / 1e6).toFixed(0)} MB`, value: mean(memory) },
        { text: `${(own[0]!.predictedBytes / 1e6).toFixed(0)} MB`, value: own[0]!.predictedBytes },
        own[0]!.gradientParameters,
      ],
    ];
  });
  return { columns, rows };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
