import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { UsageError } from "../errors.ts";

/** Features of many images: [count, width], one row for each. */
export type FeatureRows = ArrayLike<ArrayLike<number>>;

/** Mean and covariance of features, gathered row by row in float64. */
export class FeatureStatistics {
  readonly width: number;
  /** Rows seen. */
  count = 0;
  readonly #shift: Float64Array;
  readonly #sum: Float64Array;
  readonly #products: Float64Array;

  constructor(width: number) {
    this.width = width;
    this.#shift = new Float64Array(width);
    this.#sum = new Float64Array(width);
    this.#products = new Float64Array(width * width);
  }

  /** @throws {UsageError} if the row has another width, or holds what is not a number. */
  add(row: ArrayLike<number>): void {
    const { width } = this;
    if (row.length !== width) {
      const message = `FID: features are ${width} wide, a row has ${row.length} values. Both sets must come from one network.`;
      throw new UsageError("featureWidth", { width, given: row.length }, message);
    }
    // Sums are taken around the first row: far from zero they would lose what the variance is made of.
    if (this.count++ === 0) this.#shift.set(row);
    const centred = Float64Array.from(row, (x, i) => x - this.#shift[i]!);
    if (!centred.every(Number.isFinite)) throw new UsageError("featureValue", {}, "FID: a feature is not a finite number.");
    for (let i = 0; i < width; i++) {
      const x = centred[i]!;
      this.#sum[i]! += x;
      for (let j = 0; j <= i; j++) this.#products[i * width + j]! += x * centred[j]!;
    }
  }

  mean(): Float64Array {
    return this.#sum.map((x, i) => this.#shift[i]! + x / this.count);
  }

  /** Unbiased, divided by count − 1. */
  covariance(): Matrix {
    const { width, count } = this;
    const out = new Matrix(width, width);
    for (let i = 0; i < width; i++) {
      for (let j = 0; j <= i; j++) {
        const value = (this.#products[i * width + j]! - (this.#sum[i]! * this.#sum[j]!) / count) / (count - 1);
        out.set(i, j, value);
        out.set(j, i, value);
      }
    }
    return out;
  }
}

/**
 * The Fréchet distance between two sets of features taken as normal distributions, ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2
 * (Σ₁Σ₂)^½) (Heusel et al. 2017), with unbiased covariances. The root is taken from symmetric eigenproblems alone: Tr
 * (Σ₁Σ₂)^½ = Σᵢ √λᵢ(Σ₁^½ Σ₂ Σ₁^½), negative eigenvalues counting as 0. With fewer rows than columns a covariance is
 * singular; the value is defined, and biased upward.
 *
 * @throws {UsageError} if the widths differ, a set has fewer than two rows, or a value is not finite.
 */
export function fid(a: FeatureRows, b: FeatureRows): number {
  return frechetDistance(statisticsOf(a), statisticsOf(b));
}

export function statisticsOf(rows: FeatureRows): FeatureStatistics {
  const statistics = new FeatureStatistics(rows.length > 0 ? rows[0]!.length : 0);
  for (let i = 0; i < rows.length; i++) statistics.add(rows[i]!);
  return statistics;
}

/** {@link fid} of gathered statistics. */
export function frechetDistance(a: FeatureStatistics, b: FeatureStatistics): number {
  if (a.width !== b.width) {
    const message = `FID: the features are ${a.width} and ${b.width} wide. Both sets must come from one network.`;
    throw new UsageError("featureWidth", { widths: [a.width, b.width] }, message);
  }
  const counts = [a.count, b.count];
  if (Math.min(...counts) < 2)
    throw new UsageError("tooFewFeatures", { counts }, `FID: the sets have ${counts.join(" and ")} rows; each needs at least two.`);
  const [meanA, meanB] = [a.mean(), b.mean()];
  const shift = meanA.reduce((sum, x, i) => sum + (x - meanB[i]!) ** 2, 0);
  const [first, second] = [a.covariance(), b.covariance()];
  const root = symmetricRoot(first);
  const product = root.mmul(second).mmul(root);
  const overlap = eigenvaluesOf(product).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  return shift + first.trace() + second.trace() - 2 * overlap;
}

function symmetricRoot(matrix: Matrix): Matrix {
  const { eigenvectorMatrix: vectors, realEigenvalues } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const roots = Matrix.diag(realEigenvalues.map((value) => Math.sqrt(Math.max(0, value))));
  return vectors.mmul(roots).mmul(vectors.transpose());
}

function eigenvaluesOf(matrix: Matrix): readonly number[] {
  const symmetric = Matrix.add(matrix, matrix.transpose()).mul(0.5);
  return new EigenvalueDecomposition(symmetric, { assumeSymmetric: true }).realEigenvalues;
}
