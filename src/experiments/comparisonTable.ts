import type { Cell, Column, Table } from "../report/index.ts";
import type { ComparedRun, CompareOptions } from "./compare.ts";

/** One line for each run, as in compare.csv. */
export const runColumns: string[] = [
  "method",
  "seed",
  "accuracy",
  "FID, test",
  "bits",
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
    run.accuracy ?? null,
    run.fid === undefined ? null : mean(run.fid.test),
    run.bits ?? null,
    run.layerEvaluations,
    run.seconds ?? null,
    run.trainingBytes === undefined ? null : run.trainingBytes / 1e6,
    run.predictedBytes / 1e6,
    run.gradientParameters,
  ];
}

/** One row for each system, over its seeds. */
export function comparisonTable(
  methods: readonly string[],
  runs: readonly ComparedRun[],
  more: NonNullable<CompareOptions["columns"]>,
): Table {
  const [{ fid, bits } = {}] = runs as readonly Partial<ComparedRun>[];
  const columns: (string | Column)[] = [
    "method",
    ...more.map(({ title }) => title),
    qualityColumn(fid?.name, bits),
    "layer evaluations",
    { title: "training time", best: "min" },
    { title: "training memory", best: "min", hint: "largest resident memory above that before the first step, in a fresh process" },
    { title: "predicted", hint: "by dblocks plan" },
    { title: "parameters with gradients", best: "min" },
  ];
  const rows = methods.flatMap((method): Cell[][] => {
    const own = runs.filter((run) => run.method === method);
    if (own.length === 0) return [];
    const scores = own.map((run) => (run.fid === undefined ? (run.bits ?? 100 * run.accuracy!) : mean(run.fid.test)));
    const seconds = own.flatMap((run) => run.seconds ?? []);
    const memory = own.flatMap(({ trainingBytes }) => trainingBytes ?? []);
    const spread = scores.length > 1 ? ` ± ${deviation(scores).toFixed(2)}` : "";
    return [
      [
        method,
        ...more.map(({ values }) => values[method] ?? null),
        { text: `${mean(scores).toFixed(2)}${spread}`, value: mean(scores) },
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

function qualityColumn(fid: string | undefined, bits: number | undefined): Column {
  if (fid !== undefined) return { title: `${fid}, test`, best: "min", hint: "mean of three evaluations; ± over the seeds" };
  return bits === undefined
    ? { title: "test accuracy %", best: "max" }
    : { title: "bits a token", best: "min", hint: "an upper bound; ± over the seeds" };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
