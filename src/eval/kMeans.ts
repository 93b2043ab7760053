import { fold, type Key, permutation } from "../random.ts";

export interface KMeansOptions {
  readonly clusters: number;
  /** Starts from other rows; the best is kept. */
  readonly restarts: number;
  /** Rounds of one start, at most: it ends where no row changes its cluster. */
  readonly iterations: number;
  readonly key: Key;
}

/** Rows [count · width], flat. */
export interface Rows {
  readonly values: Float64Array;
  readonly count: number;
  readonly width: number;
}

/**
 * Clusters of rows by Lloyd's algorithm: each start takes different rows as centres; a cluster without rows takes the row that is
 * farthest from its centre.
 *
 * @returns the cluster of each row, of the start with the least sum of squared distances.
 */
export function kMeans(rows: Rows, { clusters, restarts, iterations, key }: KMeansOptions): Int32Array {
  let best: Clustering | undefined;
  for (let start = 0; start < restarts; start++) {
    const found = lloyd(rows, clusters, iterations, fold(key, start));
    if (best === undefined || found.cost < best.cost) best = found;
  }
  return best!.labels;
}

interface Clustering {
  readonly labels: Int32Array;
  readonly cost: number;
}

function lloyd(rows: Rows, clusters: number, iterations: number, key: Key): Clustering {
  const { values, count, width } = rows;
  const centres = new Float64Array(clusters * width);
  const order = permutation(key, count);
  for (let k = 0; k < clusters; k++) centres.set(values.subarray(order[k]! * width, (order[k]! + 1) * width), k * width);
  const labels = new Int32Array(count).fill(-1);
  const distances = new Float64Array(count);
  for (let round = 0; round < iterations; round++) {
    if (!assign(rows, centres, labels, distances)) break;
    moveCentres(rows, centres, labels, distances);
  }
  return { labels, cost: distances.reduce((sum, x) => sum + x, 0) };
}

/** Gives each row its nearest centre. @returns whether a row changed. */
function assign({ values, count, width }: Rows, centres: Float64Array, labels: Int32Array, distances: Float64Array): boolean {
  let changed = false;
  for (let row = 0; row < count; row++) {
    let [best, nearest] = [0, Number.POSITIVE_INFINITY];
    for (let from = 0, k = 0; from < centres.length; from += width, k++) {
      let distance = 0;
      for (let i = 0; i < width && distance < nearest; i++) distance += (values[row * width + i]! - centres[from + i]!) ** 2;
      if (distance < nearest) [best, nearest] = [k, distance];
    }
    if (labels[row] !== best) changed = true;
    labels[row] = best;
    distances[row] = nearest;
  }
  return changed;
}

function moveCentres({ values, count, width }: Rows, centres: Float64Array, labels: Int32Array, distances: Float64Array): void {
  const sizes = new Int32Array(centres.length / width);
  centres.fill(0);
  for (let row = 0; row < count; row++) {
    sizes[labels[row]!]!++;
    for (let i = 0; i < width; i++) centres[labels[row]! * width + i]! += values[row * width + i]!;
  }
  for (const [k, size] of sizes.entries()) {
    if (size > 0) {
      for (let i = 0; i < width; i++) centres[k * width + i]! /= size;
      continue;
    }
    const farthest = distances.reduce((most, x, row) => (x > distances[most]! ? row : most), 0);
    centres.set(values.subarray(farthest * width, (farthest + 1) * width), k * width);
    distances[farthest] = 0;
  }
}
