import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import type { FeatureRows } from "./fid.ts";
import { kMeans, type Rows } from "./kMeans.ts";
import { type Mauve, type MauveOptions, mauveFromHistograms } from "./mauve.ts";

export interface MauveFeatureOptions extends MauveOptions {
  /** Clusters; a tenth of the smaller set, at least 2, by default. */
  readonly buckets?: number | undefined;
  /** Share of the variance that the kept principal components explain, 0.9 by default. */
  readonly explainedVariance?: number;
  /** Starts of k-means in each clustering, of which the best is kept; 5 by default. */
  readonly restarts?: number;
  readonly iterations?: number;
  /** Clusterings, each with a seed of its own: their values are averaged; 5 by default. */
  readonly seeds?: number;
}

/** MAUVE of two sets of features, and what it depends on: belongs to the number wherever it is printed. */
export interface FeatureMauve {
  /** Over the seeds of k-means. */
  readonly mauve: number;
  readonly std: number;
  /** "MAUVE*": ½ is added to every count first. */
  readonly smoothed: number;
  readonly frontierIntegral: number;
  readonly scaling: number;
  readonly buckets: number;
  /** Principal components. */
  readonly components: number;
  readonly seeds: number;
}

/**
 * MAUVE (Pillutla et al. 2021) of two sets of features of texts: rows are normalised to length 1, projected on the principal
 * components of both sets together, clustered by k-means, counted, and compared by {@link mauveFromHistograms}.
 *
 * @param featuresP of the real texts, [count, width]: the state of a language model at the last token of each.
 * @param featuresQ of the texts that were drawn.
 * @throws {UsageError} if the widths differ, a set has fewer than two rows, a value is not finite, or there are more buckets than rows.
 */
export function mauve(featuresP: FeatureRows, featuresQ: FeatureRows, options: MauveFeatureOptions = {}): FeatureMauve {
  const { scaling = 5, explainedVariance = 0.9, restarts = 5, iterations = 500, seeds = 5, points } = options;
  const buckets = options.buckets ?? Math.max(2, Math.round(Math.min(featuresP.length, featuresQ.length) / 10));
  checkSets(featuresP, featuresQ, buckets);
  const rows = principalRows(normalisedRows([featuresQ, featuresP]), explainedVariance);
  const histograms = Array.from({ length: seeds }, (_, seed) => {
    const labels = kMeans(rows, { clusters: buckets, restarts, iterations, key: fold(key("MAUVE"), seed) });
    const [p, q] = [new Float64Array(buckets), new Float64Array(buckets)];
    for (const [row, label] of labels.entries()) (row < featuresQ.length ? q : p)[label]!++;
    return [p, q] as const;
  });
  const compared = (added: number): Mauve[] =>
    histograms.map(([p, q]) =>
      mauveFromHistograms(
        p.map((x) => x + added),
        q.map((x) => x + added),
        { scaling, ...(points !== undefined && { points }) },
      ),
    );
  const plain = compared(0);
  const mean = meanOf(plain.map((one) => one.mauve));
  return {
    mauve: mean,
    std: Math.sqrt(meanOf(plain.map((one) => (one.mauve - mean) ** 2))),
    smoothed: meanOf(compared(0.5).map((one) => one.mauve)),
    frontierIntegral: meanOf(plain.map((one) => one.frontierIntegral)),
    scaling,
    buckets,
    components: rows.width,
    seeds,
  };
}

function checkSets(p: FeatureRows, q: FeatureRows, buckets: number): void {
  const width = p[0]?.length ?? 0;
  const rows = [...Array.from({ length: p.length }, (_, i) => p[i]!), ...Array.from({ length: q.length }, (_, i) => q[i]!)];
  const fits = rows.every((row) => row.length === width && Array.from(row).every(Number.isFinite));
  if (p.length >= 2 && q.length >= 2 && width > 0 && fits && buckets <= rows.length) return;
  const message = `MAUVE: sets of ${p.length} and ${q.length} rows for ${buckets} buckets; two sets of at least two rows of finite numbers and one width are needed, with at most as many buckets as rows.`;
  throw new UsageError("badFeatures", { rows: [p.length, q.length], buckets }, message);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** All rows one after another, each divided by its length. */
function normalisedRows(sets: readonly FeatureRows[]): Rows {
  const [width, count] = [sets[0]![0]!.length, sets.reduce((sum, { length }) => sum + length, 0)];
  const values = new Float64Array(count * width);
  let at = 0;
  for (const set of sets) {
    for (let i = 0; i < set.length; i++, at += width) {
      const row = Float64Array.from(set[i]!);
      const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0)) || 1;
      values.set(
        row.map((x) => x / length),
        at,
      );
    }
  }
  return { values, count, width };
}

/** Rows around their mean, by as many principal components as explain the share of the variance. */
function principalRows({ values, count, width }: Rows, share: number): Rows {
  const all = new Matrix(count, width);
  for (let i = 0; i < count; i++) for (let j = 0; j < width; j++) all.set(i, j, values[i * width + j]!);
  const centred = all.center("column");
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(centred.transpose().mmul(centred), { assumeSymmetric: true });
  const total = realEigenvalues.reduce((sum, x) => sum + Math.max(0, x), 0);
  const order = [...realEigenvalues.keys()].sort((a, b) => realEigenvalues[b]! - realEigenvalues[a]!);
  let [kept, explained] = [0, 0];
  while (kept < order.length && explained < share * total) explained += Math.max(0, realEigenvalues[order[kept++]!]!);
  const columns = order.slice(0, Math.max(1, kept));
  const projected = centred.mmul(eigenvectorMatrix.subMatrixColumn(columns));
  return { values: Float64Array.from(projected.to1DArray()), count, width: columns.length };
}
