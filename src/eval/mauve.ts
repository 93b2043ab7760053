import { UsageError } from "../errors.ts";

export interface MauveOptions {
  /** c in exp(−c · KL): 5 as in the library of its authors; others publish with other values, so it belongs to the number. */
  readonly scaling?: number;
  /** Mixtures on the frontier. */
  readonly points?: number;
}

/** MAUVE of two histograms. */
export interface Mauve {
  /** 1 for equal histograms, near 0 for disjoint ones. */
  readonly mauve: number;
  /**
   * The divergence frontier, [exp(−c KL(q‖r)), exp(−c KL(p‖r))] for mixtures r = w p + (1 − w) q, from (1, 0)'s end
   * to (0, 1)'s in the order of w, with both ends.
   */
  readonly curve: readonly (readonly [number, number])[];
  /** The integral of the frontier (Liu et al. 2021): 0 for equal histograms; lower is better; no scaling enters. */
  readonly frontierIntegral: number;
}

/**
 * MAUVE (Pillutla et al. 2021) of two histograms over the clusters of their features: the area under the frontier of
 * KL(q‖r) and KL(p‖r), the mean of the areas by both axes. Histograms are normalised first.
 *
 * @throws {UsageError} if the histograms differ in length, are empty, or hold what is not a count.
 */
export function mauveFromHistograms(p: ArrayLike<number>, q: ArrayLike<number>, { scaling = 5, points = 25 }: MauveOptions = {}): Mauve {
  const [from, to] = [normalised(p, q.length), normalised(q, p.length)];
  const curve: [number, number][] = [[0, 1]];
  for (let i = 0; i < points; i++) {
    const w = 1e-6 + (i * (1 - 2e-6)) / (points - 1);
    const mixture = from.map((x, k) => w * x + (1 - w) * to[k]!);
    curve.push([Math.exp(-scaling * divergence(to, mixture)), Math.exp(-scaling * divergence(from, mixture))]);
  }
  curve.push([1, 0]);
  const flipped = curve.map(([x, y]): [number, number] => [y, x]);
  return { mauve: (area(curve) + area(flipped)) / 2, curve, frontierIntegral: frontier(from, to) };
}

function normalised(counts: ArrayLike<number>, otherLength: number): Float64Array {
  const values = Float64Array.from(counts);
  const sum = values.reduce((a, b) => a + b, 0);
  if (values.length !== otherLength || !(sum > 0) || !values.every((x) => x >= 0 && Number.isFinite(x))) {
    const message = "MAUVE: two histograms over the same clusters are needed, with counts of at least 0 that are not all 0.";
    throw new UsageError("badHistogram", { lengths: [values.length, otherLength], sum }, message);
  }
  return values.map((x) => x / sum);
}

/** KL(a ‖ b) in nats. */
function divergence(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, k) => (x === 0 ? sum : sum + x * Math.log(x / b[k]!)), 0);
}

/** Under a curve, by trapezoids in the order of x. */
function area(curve: readonly (readonly [number, number])[]): number {
  const sorted = [...curve].sort((a, b) => a[0] - b[0] || b[1] - a[1]); // y falls along the frontier
  return sorted.slice(1).reduce((sum, [x, y], i) => sum + ((x - sorted[i]![0]) * (y + sorted[i]![1])) / 2, 0);
}

function frontier(p: Float64Array, q: Float64Array): number {
  const cell = (a: number, b: number): number => {
    if (a === b) return 0;
    if (a === 0 || b === 0) return (a + b) / 4;
    return (a + b) / 4 - (a * b * (Math.log(a) - Math.log(b))) / (2 * (a - b));
  };
  return 2 * p.reduce((sum, x, k) => sum + cell(x, q[k]!), 0);
}
