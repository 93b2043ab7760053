import { UsageError } from "../errors.ts";
import { choleskyOf, gramOfProduct, symmetricEigenvalues } from "./symmetric.ts";

/** Features of many images: [count, width], one row for each. */
export type FeatureRows = ArrayLike<ArrayLike<number>>;

/** Rows whose products are added at once: each row of the matrix then crosses the cache once for all of them. */
const rowsAtOnce = 32;

/** Mean and covariance of features, gathered row by row in float64. */
export class FeatureStatistics {
  readonly width: number;
  /** Rows seen. */
  count = 0;
  readonly #shift: Float64Array;
  readonly #sum: Float64Array;
  readonly #products: Float64Array;
  /** Rows that wait, around the shift. */
  readonly #waiting: Float64Array;
  #numWaiting = 0;

  constructor(width: number) {
    this.width = width;
    this.#shift = new Float64Array(width);
    this.#sum = new Float64Array(width);
    this.#products = new Float64Array(width * width);
    this.#waiting = new Float64Array(rowsAtOnce * width);
  }

  /** @throws {UsageError} if the row has another width, or holds what is not a number. */
  add(row: ArrayLike<number>): void {
    const { width } = this;
    if (row.length !== width) {
      const message = `FID: features are ${width} wide, a row has ${row.length} values. Both sets must come from one network.`;
      throw new UsageError("featureWidth", { width, given: row.length }, message);
    }
    for (let i = 0; i < width; i++)
      if (!Number.isFinite(row[i])) throw new UsageError("featureValue", {}, "FID: a feature is not a finite number.");
    // Sums are taken around the first row: far from zero they would lose what the variance is made of.
    if (this.count++ === 0) this.#shift.set(row);
    const start = this.#numWaiting * width;
    for (let i = 0; i < width; i++) {
      const centred = row[i]! - this.#shift[i]!;
      this.#waiting[start + i] = centred;
      this.#sum[i]! += centred;
    }
    this.#numWaiting++;
    if (this.#numWaiting === rowsAtOnce) this.#addProducts();
  }

  #addProducts(): void {
    const { width } = this;
    const [products, rows] = [this.#products, this.#waiting];
    rows.fill(0, this.#numWaiting * width);
    for (let i = 0; i < width; i++) {
      const to = i * width;
      for (let row = 0; row < this.#numWaiting; row += 4) {
        const [r0, r1, r2, r3] = [row * width, (row + 1) * width, (row + 2) * width, (row + 3) * width];
        const [a, b, c, d] = [rows[r0 + i]!, rows[r1 + i]!, rows[r2 + i]!, rows[r3 + i]!];
        for (let j = 0; j <= i; j++) products[to + j]! += a * rows[r0 + j]! + b * rows[r1 + j]! + (c * rows[r2 + j]! + d * rows[r3 + j]!);
      }
    }
    this.#numWaiting = 0;
  }

  mean(): Float64Array {
    return this.#sum.map((x, i) => this.#shift[i]! + x / this.count);
  }

  /** Unbiased, divided by count − 1: flat, [width · width], the lower half. */
  covariance(): Float64Array {
    this.#addProducts();
    const { width, count } = this;
    const out = new Float64Array(width * width);
    for (let i = 0; i < width; i++)
      for (let j = 0; j <= i; j++)
        out[i * width + j] = (this.#products[i * width + j]! - (this.#sum[i]! * this.#sum[j]!) / count) / (count - 1);
    return out;
  }
}

/**
 * The Fréchet distance between two sets of features taken as normal distributions, ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2
 * (Σ₁Σ₂)^½) (Heusel et al. 2017), with unbiased covariances. With Σ₁ = K Kᵀ and Σ₂ = M Mᵀ the trace of the root is that of
 * the symmetric (Kᵀ M)(Kᵀ M)ᵀ, Σᵢ √λᵢ, negative eigenvalues counting as 0. With fewer rows than columns a covariance is
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
  const { width } = a;
  const [first, second] = [a.covariance(), b.covariance()];
  const eigenvalues = symmetricEigenvalues(gramOfProduct(choleskyOf(first, width), choleskyOf(second, width), width), width);
  const overlap = eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  return shift + traceOf(first, width) + traceOf(second, width) - 2 * overlap;
}

function traceOf(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += matrix[i * n + i]!;
  return sum;
}
