import { initializers } from "../nn/index.ts";
import { fold, key, normal } from "../random.ts";
import { constant, l2Normalize, mul, parameter, type Tensor } from "../tensor/index.ts";

/** How classes become vectors: fixed orthonormal rows (the same for all blocks, no training), or a learned table. */
export type TargetEmbedding = "orthonormal" | "learned";

/** The embedding of the classes, rows of length `scale`: what noise is added to. */
export interface Targets {
  /** [classes, width], rows normalised and scaled: wherever the table is used, it is this. */
  readonly table: Tensor;
  /** The learned parameter behind it, if there is one. */
  readonly parameter: Tensor | undefined;
}

export function createTargets(kind: TargetEmbedding, numClasses: number, width: number, scale: number): Targets {
  if (kind === "orthonormal")
    return {
      table: constant(
        orthonormalRows(numClasses, width).map((x) => x * scale),
        [numClasses, width],
      ),
      parameter: undefined,
    };
  const learned = parameter([numClasses, width], initializers.normal(0.02));
  const rows = l2Normalize(learned);
  return { table: scale === 1 ? rows : mul(rows, scale), parameter: learned };
}

/**
 * Random rows of norm 1: orthogonal to each other while there are no more rows than columns (all distances √2), independent
 * directions beyond. A constant of (rows, width): every run and every block has the same.
 */
export function orthonormalRows(rows: number, width: number): Float32Array {
  const out = new Float64Array(rows * width);
  const draw = new Float32Array(width);
  for (let r = 0; r < rows; r++) {
    normal(fold(key("class embedding"), r), draw);
    const row = out.subarray(r * width, (r + 1) * width);
    row.set(draw);
    // Twice: the second pass removes what rounding left of the first.
    for (let pass = 0; pass < 2; pass++)
      for (let other = Math.max(0, r - width + 1); rows <= width && other < r; other++)
        removeComponent(row, out.subarray(other * width, (other + 1) * width));
    const norm = Math.hypot(...row);
    for (let i = 0; i < width; i++) row[i]! /= norm;
  }
  return Float32Array.from(out);
}

function removeComponent(row: Float64Array, unit: Float64Array): void {
  let share = 0;
  for (let i = 0; i < row.length; i++) share += row[i]! * unit[i]!;
  for (let i = 0; i < row.length; i++) row[i]! -= share * unit[i]!;
}
