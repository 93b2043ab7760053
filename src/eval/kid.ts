import { UsageError } from "../errors.ts";
import type { FeatureRows } from "./fid.ts";

export interface KidOptions {
  /** Rows of a subset, at most 1,000 by default. */
  readonly subsetSize?: number;
  readonly subsets?: number;
  /** A uniform number in [0, 1) for each call: which rows a subset takes. */
  readonly uniform: () => number;
}

/** The kernel distance and its spread over subsets. */
export interface KernelDistance {
  readonly mean: number;
  readonly std: number;
}

/**
 * Kernel distance KID (Bińkowski et al. 2018): the unbiased squared MMD with the kernel (x·y/width + 1)³, over subsets that are
 * drawn anew. Unlike FID it is not biased by the number of images: for few of them. It may be a little below 0.
 *
 * @throws {UsageError} if the widths differ, or a set has fewer than two rows.
 */
export function kid(a: FeatureRows, b: FeatureRows, { subsetSize = 1000, subsets = 100, uniform }: KidOptions): KernelDistance {
  const size = Math.min(subsetSize, a.length, b.length);
  const width = a[0]?.length ?? 0;
  if (size < 2 || b[0]!.length !== width) {
    const message = `KID: sets of ${a.length} and ${b.length} rows, ${width} and ${b[0]?.length ?? 0} wide; two of one width with at least two rows are needed.`;
    throw new UsageError("badFeatures", { rows: [a.length, b.length] }, message);
  }
  const values = Array.from({ length: subsets }, () => squaredMmd(drawnRows(a, size, uniform), drawnRows(b, size, uniform), width));
  const mean = values.reduce((sum, value) => sum + value, 0) / subsets;
  return { mean, std: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / subsets) };
}

/** Different rows, in the order of a partial shuffle. */
function drawnRows(rows: FeatureRows, size: number, uniform: () => number): ArrayLike<number>[] {
  const numbers = Array.from({ length: rows.length }, (_, i) => i);
  return Array.from({ length: size }, (_, i) => {
    const j = i + Math.floor(uniform() * (rows.length - i));
    [numbers[i], numbers[j]] = [numbers[j]!, numbers[i]!];
    return rows[numbers[i]!]!;
  });
}

function squaredMmd(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[], width: number): number {
  const size = a.length;
  const kernel = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
    let product = 0;
    for (let i = 0; i < width; i++) product += x[i]! * y[i]!;
    return (product / width + 1) ** 3;
  };
  let [within, between] = [0, 0];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      if (j < i) within += 2 * (kernel(a[i]!, a[j]!) + kernel(b[i]!, b[j]!));
      between += kernel(a[i]!, b[j]!);
    }
  }
  return within / (size * (size - 1)) - (2 * between) / size ** 2;
}
