import { FormatError } from "../errors.ts";

/** A tensor of a published network. */
export interface PublishedTensor {
  readonly shape: readonly number[];
  /** Its numbers; read when they are asked for. */
  read(): Float32Array;
}

/** The tensors of a published network: what a layout takes is checked, and what it leaves is known. */
export class PublishedWeights {
  readonly #tensors: ReadonlyMap<string, PublishedTensor>;
  readonly #where: string;
  readonly #taken = new Set<string>();

  /** @param where they were found, for messages. */
  constructor(tensors: ReadonlyMap<string, PublishedTensor>, where: string) {
    this.#tensors = tensors;
    this.#where = where;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The numbers of a tensor. @throws {FormatError} if it is missing or has another shape. */
  take(name: string, ...shape: readonly number[]): Float32Array {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new FormatError("missingTensor", { name }, `${this.#where}: there is no tensor ${name} [${shape}].`);
    if (tensor.shape.join() !== shape.join()) {
      const message = `${this.#where}: ${name} is [${tensor.shape}]; with this configuration it must be [${shape}].`;
      throw new FormatError("tensorShape", { name, given: tensor.shape, expected: shape }, message);
    }
    this.#taken.add(name);
    return tensor.read();
  }

  /**
   * Linear layers that are one product here: matrices [out, in] of PyTorch, one after another -> [in, Σ out].
   *
   * @param outs of each matrix, its outputs.
   */
  columns(names: readonly string[], inputs: number, outs: readonly number[], shapeOf = (out: number) => [out, inputs]): Float32Array {
    const all = outs.reduce((sum, out) => sum + out, 0);
    const joined = new Float32Array(inputs * all);
    let column = 0;
    for (const [i, name] of names.entries()) {
      const matrix = this.take(name, ...shapeOf(outs[i]!));
      for (let row = 0; row < outs[i]!; row++, column++)
        for (let input = 0; input < inputs; input++) joined[input * all + column] = matrix[row * inputs + input]!;
    }
    return joined;
  }

  /** Vectors one after another. */
  joined(names: readonly string[], lengths: readonly number[]): Float32Array {
    return Float32Array.from(names.flatMap((name, i) => [...this.take(name, lengths[i]!)]));
  }

  /**
   * @param ignored of names that hold nothing that was trained.
   * @throws {FormatError} if tensors are left that nothing asked for.
   */
  refuseRest(ignored: RegExp): void {
    const rest = [...this.#tensors.keys()].filter((name) => !this.#taken.has(name) && !ignored.test(name));
    if (rest.length === 0) return;
    const shown = rest.slice(0, 5).join(", ");
    const message = `${this.#where}: ${rest.length} tensors are unknown to this architecture: ${shown}${rest.length > 5 ? ", …" : ""}.`;
    throw new FormatError("unknownTensor", { names: rest }, message);
  }
}
