import { initializers } from "../nn/index.ts";
import { key } from "../random.ts";
import { constantFrom, l2Normalize, mul, parameter, type Tensor } from "../tensor/index.ts";
import { type PredictionProgram, predictionProgram } from "../train/index.ts";

/** Embeddings of classes: fixed orthonormal rows (the same for all blocks, no training), or a learned table. */
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
      table: constantFrom(() => orthonormalRows(numClasses, width).map((x) => x * scale), [numClasses, width]),
      parameter: undefined,
    };
  const learned = parameter([numClasses, width], initializers.normal(0.02));
  const rows = l2Normalize(learned);
  return { table: scale === 1 ? rows : mul(rows, scale), parameter: learned };
}

/** The embeddings as a program, [classes, width]. */
export function targetTable({ table }: Targets): PredictionProgram<never, "table"> {
  return predictionProgram(
    "targets",
    () => ({}),
    () => ({ table }),
  );
}

/** Orthonormal rows as a constant of (rows, width): every run and every block has the same. */
export function orthonormalRows(rows: number, width: number): Float32Array {
  const out = new Float32Array(rows * width);
  initializers.orthonormalRows.fill(out, key("class embedding"), [rows, width]);
  return out;
}
