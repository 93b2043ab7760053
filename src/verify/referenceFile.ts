import { FormatError } from "../errors.ts";
import type { Device } from "../runtime/index.ts";
import { type Result, recompute } from "./recompute.ts";
import { ReferenceFile } from "./reference.ts";

/** Of the reference values in float64, for results computed in float32. */
export const referenceTolerance = 2e-4;

/** The distance of a result from that in the file. */
export interface Comparison {
  /** Undefined for the reverse process through all blocks. */
  readonly block: number | undefined;
  /** The tensor's name in the file: `out.logits.0`, `grad.1.layers.2.q.weight`. */
  readonly name: string;
  readonly kind: "output" | "gradient";
  /** ‖ours − theirs‖ / ‖theirs‖; Infinity where a number is not finite. */
  readonly relativeError: number;
}

export interface ReferenceComparison {
  readonly rows: readonly Comparison[];
  readonly worst: Comparison;
}

/**
 * Recomputes a reference file (a network in the official layout with its inputs, outputs and gradients) on a device
 * and compares every result.
 *
 * A gradient that is zero in exact arithmetic is nothing but rounding on both sides: that of the key's bias, because
 * softmax ignores what it adds to all scores of a query. Where the file's norm is below 1e-8 of its block's whole
 * gradient, the error is measured against the latter.
 *
 * @throws {FormatError} if the file is damaged, of another architecture, or a tensor is missing, superfluous or of a
 *   wrong shape.
 * @example (await verifyReferenceFile(bytes, device)).worst.relativeError < referenceTolerance
 */
export async function verifyReferenceFile(bytes: Uint8Array, device: Device): Promise<ReferenceComparison> {
  const file = new ReferenceFile(bytes);
  const results = await recompute(file, device);
  const known = new Set(results.map(({ name }) => name));
  const superfluous = file.resultNames().find((name) => !known.has(name));
  if (superfluous !== undefined) {
    throw new FormatError(
      "unexpectedTensor",
      { name: superfluous },
      `Reference file: "${superfluous}" is no result of a network with these sizes; a block has gradients for the parameters that it uses and no other.`,
    );
  }
  const isGradient = ({ name }: Result): boolean => name.startsWith("grad.");
  const blockNorms = new Map<number | undefined, number>();
  for (const result of results.filter(isGradient)) {
    blockNorms.set(result.block, Math.hypot(blockNorms.get(result.block) ?? 0, norm(file.read(result.name, result.shape))));
  }
  const rows = results.map((result): Comparison => {
    const expected = file.read(result.name, result.shape);
    const { block, name, data } = result;
    if (!isGradient(result)) return { block, name, kind: "output", relativeError: ratio(distance(data, expected), norm(expected)) };
    const [own, whole] = [norm(expected), blockNorms.get(block)!];
    return { block, name, kind: "gradient", relativeError: ratio(distance(data, expected), own < 1e-8 * whole ? whole : own) };
  });
  return { rows, worst: rows.reduce((a, b) => (b.relativeError > a.relativeError ? b : a)) };
}

function distance(a: Float32Array, b: Float64Array): number {
  return norm(b.map((x, i) => x - a[i]!));
}

function norm(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
}

function ratio(difference: number, size: number): number {
  if (difference === 0) return 0;
  const quotient = difference / size;
  return Number.isFinite(quotient) ? quotient : Number.POSITIVE_INFINITY;
}
