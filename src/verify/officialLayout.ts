import { sizeOf } from "../tensor/index.ts";

/** Sizes of a network of the official DiffusionBlocks code. */
export interface OfficialVit {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly mlpWidth: number;
  readonly condWidth: number;
  readonly classes: number;
  readonly blocks: number;
  readonly sigmaData: number;
  readonly layerNormEps: number;
}

/**
 * Where the numbers of an official tensor lie in one of our parameters. The official tensor is a matrix [rows, inputs] (PyTorch keeps the
 * weight of a linear layer as [out, in]), ours a matrix [inputs, columns]: ours[i, column + r] = official[row + r, i] for `count` rows.
 * Tensors that are alike on both sides are matrices with one input.
 */
interface Correspondence {
  readonly path: string;
  readonly columns: number;
  readonly column: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly inputs: number;
  readonly row: number;
  readonly count: number;
}

/** Our parameters in the terms of the official layout, for a network converted with `shared: "together"`. */
export class OfficialLayout {
  /** Shapes of the official parameters, by name without a prefix. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly #parts: readonly Correspondence[];

  /** @param layerRanges layers [first, end) of each block. */
  constructor(config: OfficialVit, layerRanges: readonly (readonly [number, number])[]) {
    const { imageSize, patchSize, channels, width, condWidth, classes, mlpWidth } = config;
    const tokens = (imageSize / patchSize) ** 2 + 1;
    this.#parts = [
      ...alike("shared/stem.positions", "pos", [1, tokens, width]),
      ...alike("shared/targets", "label.weight", [classes, width]),
      ...linear("shared/stem.patches.project", [["patch", [width, channels, patchSize, patchSize]]]),
      ...linear("shared/noise.in", [["t0", [condWidth, 256]]]),
      ...linear("shared/noise.out", [["t2", [condWidth, condWidth]]]),
      ...norm("shared/head.norm", "norm", width),
      ...linear("shared/head.modulation.modulate", [["adaOut", [2 * width, condWidth]]]),
      ...linear("shared/head.classifier", [["head", [classes, width]]]),
      ...layerRanges.flatMap(([first, end], b) =>
        Array.from({ length: end - first }, (_, i) =>
          layerParts(`block-${b}/layers.${first + i}`, `layers.${first + i}`, { width, condWidth, mlpWidth }),
        ).flat(),
      ),
    ];
    this.shapes = new Map(this.#parts.map(({ name, shape }) => [name, shape]));
  }

  /** Our parameters, by path, from the official ones. */
  toOurs(official: (name: string, shape: readonly number[]) => Float64Array): Map<string, Float32Array> {
    const ours = new Map<string, Float32Array>();
    for (const part of this.#parts) {
      const target = ours.get(part.path) ?? new Float32Array(part.inputs * part.columns);
      const source = official(part.name, part.shape);
      eachPair(part, (mine, theirs) => {
        target[mine] = source[theirs]!;
      });
      ours.set(part.path, target);
    }
    return ours;
  }

  /** Values of ours (parameters or gradients, by path), by official name; of the parameters that `ours` holds. */
  toOfficial(ours: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
    const official = new Map<string, Float32Array>();
    for (const part of this.#parts) {
      const source = ours.get(part.path);
      if (source === undefined) continue;
      const target = official.get(part.name) ?? new Float32Array(sizeOf(part.shape));
      eachPair(part, (mine, theirs) => {
        target[theirs] = source[mine]!;
      });
      official.set(part.name, target);
    }
    return official;
  }
}

function eachPair({ inputs, columns, column, row, count }: Correspondence, visit: (mine: number, theirs: number) => void): void {
  for (let r = 0; r < count; r++) for (let i = 0; i < inputs; i++) visit(i * columns + column + r, (row + r) * inputs + i);
}

function layerParts(
  path: string,
  name: string,
  { width, condWidth, mlpWidth }: Pick<OfficialVit, "width" | "condWidth" | "mlpWidth">,
): Correspondence[] {
  const square = [width, width];
  const modulation = [6 * width, condWidth]; // shift, scale, gate of the attention, then of the MLP
  return [
    ...norm(`${path}.norm1`, `${name}.n1`, width),
    ...linear(`${path}.norm1.modulate`, [[`${name}.ada`, modulation]], [0, 3 * width]),
    ...linear(`${path}.attention.qkv`, [
      [`${name}.q`, square],
      [`${name}.k`, square],
      [`${name}.v`, square],
    ]),
    ...linear(`${path}.attention.out`, [[`${name}.o`, square]]),
    ...norm(`${path}.norm2`, `${name}.n2`, width),
    ...linear(`${path}.norm2.modulate`, [[`${name}.ada`, modulation]], [3 * width, 6 * width]),
    ...linear(`${path}.mlp.up`, [[`${name}.up`, [mlpWidth, width]]]),
    ...linear(`${path}.mlp.down`, [[`${name}.down`, [width, mlpWidth]]]),
  ];
}

/**
 * One linear layer of ours, made of official ones with weights [out, in] (or [out, in, kh, kw]) side by side, or of
 * the rows [first, end) of a single one.
 */
function linear(
  path: string,
  sources: readonly (readonly [name: string, shape: readonly number[]])[],
  [first, end]: readonly [number, number] = [0, sources[0]![1][0]!],
): Correspondence[] {
  const count = end - first;
  const columns = count * sources.length;
  return sources.flatMap(([name, shape], s) => {
    const place = { columns, column: s * count, row: first, count };
    return [
      { ...place, path: `${path}.weight`, name: `${name}.weight`, shape, inputs: sizeOf(shape.slice(1)) },
      { ...place, path: `${path}.bias`, name: `${name}.bias`, shape: [shape[0]!], inputs: 1 },
    ];
  });
}

function norm(path: string, name: string, width: number): Correspondence[] {
  return [...alike(`${path}.gain`, `${name}.weight`, [width]), ...alike(`${path}.bias`, `${name}.bias`, [width])];
}

function alike(path: string, name: string, shape: readonly number[]): Correspondence[] {
  return [{ path, name, shape, inputs: 1, columns: sizeOf(shape), column: 0, row: 0, count: sizeOf(shape) }];
}
