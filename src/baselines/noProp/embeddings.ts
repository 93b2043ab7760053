import { UsageError } from "../../errors.ts";
import { initializers } from "../../nn/index.ts";
import { constant, gather, type Initializer, parameter, type Tensor } from "../../tensor/index.ts";

/**
 * The vectors of classes (NoProp, Section 4). `one-hot`: the identity, fixed. `learned`: a table of `width` columns that starts with
 * orthonormal rows. `prototype`: a learned table with a column for each pixel that starts at an image of each class.
 */
export type ClassEmbedding = "one-hot" | "learned" | "prototype";

export interface ClassTable {
  /** [classes, width] */
  readonly table: Tensor;
  readonly width: number;
  /** The same tensor, where it is trained. */
  readonly parameter: Tensor | undefined;
}

export interface ClassTableOptions {
  readonly kind: ClassEmbedding;
  readonly numClasses: number;
  /** Columns of a learned table; of a prototype table the numbers of an image. */
  readonly width?: number;
  /** Where a prototype table starts: see `classPrototypes`. */
  readonly start?: Initializer | undefined;
}

/** @throws {UsageError} if prototypes are asked for and no start is given. */
export function classTable({ kind, numClasses, width = 20, start }: ClassTableOptions): ClassTable {
  if (kind === "one-hot") {
    const identity = Float32Array.from({ length: numClasses ** 2 }, (_, i) => (i % (numClasses + 1) === 0 ? 1 : 0));
    return { table: constant(identity, [numClasses, numClasses]), width: numClasses, parameter: undefined };
  }
  if (kind === "learned") return trained([numClasses, width], initializers.orthonormalRows);
  if (start === undefined)
    throw new UsageError("noPrototypes", { kind }, "noProp: prototype embeddings start at images; give those of classPrototypes.");
  return trained([numClasses, width], start);
}

function trained(shape: readonly [number, number], initializer: Initializer): ClassTable {
  const table = parameter(shape, initializer);
  return { table, width: shape[1], parameter: table };
}

/** The embeddings of labels: int32 [batch] -> [batch, width]. */
export function embed({ table }: ClassTable, labels: Tensor): Tensor {
  return gather(table, labels);
}

/**
 * For each class the image with the smallest median distance to the others of its class, among the first `perClass` of it: [classes,
 * pixels].
 *
 * @param imageAt an image by number, as the network sees it.
 * @param labels of all images.
 */
export function classPrototypes(
  imageAt: (item: number) => Float32Array,
  labels: ArrayLike<number>,
  numClasses: number,
  perClass = 100,
): Float32Array {
  const items = Array.from({ length: labels.length }, (_, i) => i);
  const prototypes = Array.from({ length: numClasses }, (_, k) => {
    const images = items
      .filter((i) => labels[i] === k)
      .slice(0, perClass)
      .map(imageAt);
    const spread = images.map((image) => median(images.filter((other) => other !== image).map((other) => squaredDistance(image, other))));
    return images[spread.indexOf(Math.min(...spread))];
  });
  const size = imageAt(0).length;
  const out = new Float32Array(numClasses * size);
  for (const [k, image] of prototypes.entries()) if (image !== undefined) out.set(image, k * size);
  return out;
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
