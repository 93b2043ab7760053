import { type Arena, allocateArena, type Kernels } from "../optim/index.ts";
import { fold, key } from "../random.ts";
import { sizeOf, type Tensor } from "../tensor/index.ts";
import type { Unit } from "./method.ts";

/** One parameter on the host: its value, and what training keeps beside it. */
export interface ParameterState {
  readonly value: Float32Array;
  readonly gradient: Float32Array;
  readonly slots: readonly Float32Array[];
  /** Moving average of the value; empty where none is kept. */
  readonly ema: Float32Array;
  readonly kernels: Kernels;
  /** Optimiser updates so far. */
  updates: number;
}

export interface StateConfig {
  readonly seed: number;
  /** Names of the arrays that the optimiser keeps for each parameter. */
  readonly slots: readonly string[];
  readonly ema: boolean;
}

/**
 * The parameters of one unit, trainable and frozen, in one arena that is released as a whole. Parameters that another unit of the same
 * run already holds under the same path (`shared`) are taken over, not copied.
 */
export class UnitState implements Disposable {
  readonly unit: Unit;
  readonly parameters: ReadonlyMap<string, ParameterState>;
  readonly #slots: readonly string[];
  readonly #seed: number;
  readonly #own: readonly (readonly [path: string, tensor: Tensor])[];
  readonly #arena: Arena;

  constructor(unit: Unit, config: StateConfig, shared: ReadonlyMap<string, ParameterState> = new Map()) {
    this.unit = unit;
    this.#slots = config.slots;
    this.#seed = config.seed;
    const own = [...unit.trainable, ...unit.frozen].filter(([path]) => !shared.has(path));
    this.#own = own;
    const trains = (path: string): boolean => unit.trainable.has(path);
    const copies = (path: string): number => (trains(path) ? 2 + config.slots.length + (config.ema ? 1 : 0) : 1);
    this.#arena = allocateArena(own.reduce((sum, [path, tensor]) => sum + copies(path) * alignedSize(tensor), 0) * 4);
    let offset = 0;
    const take = (tensor: Tensor, wanted: boolean): Float32Array => {
      const view = this.#arena.view(offset, wanted ? sizeOf(tensor.shape) : 0);
      if (wanted) offset += alignedSize(tensor);
      return view;
    };
    const fresh = own.map(([path, tensor]) => {
      const state: ParameterState = {
        value: take(tensor, true),
        gradient: take(tensor, trains(path)),
        slots: Array.from({ length: trains(path) ? config.slots.length : 0 }, () => take(tensor, true)),
        ema: take(tensor, trains(path) && config.ema),
        kernels: this.#arena.kernels,
        updates: 0,
      };
      initialize(state, path, tensor, config.seed);
      return [path, state] as const;
    });
    const known = [...unit.trainable, ...unit.frozen].flatMap(([path]) => (shared.has(path) ? [[path, shared.get(path)!] as const] : []));
    this.parameters = new Map([...fresh, ...known]);
  }

  /** The value of a parameter, the optimiser's slots by their names, and the average where one is kept: all that a resumed run needs. */
  arraysOf(path: string): Readonly<Record<string, Float32Array>> {
    const { value, slots, ema } = this.parameters.get(path)!;
    const named = slots.map((data, i) => [this.#slots[i]!, data] as const);
    return { value, ...Object.fromEntries(named), ...(ema.length > 0 && { ema }) };
  }

  /** The numbers of a parameter that prediction uses: the average where one is kept, else the value. */
  predictionValue(path: string): Float32Array {
    const { value, ema } = this.parameters.get(path)!;
    return ema.length > 0 ? ema : value;
  }

  /** Back to the initial values; parameters that were taken over are left to their owner. */
  reset(): void {
    for (const [path, tensor] of this.#own) {
      const state = this.parameters.get(path)!;
      initialize(state, path, tensor, this.#seed);
      for (const slot of state.slots) slot.fill(0);
      state.updates = 0;
    }
  }

  dispose(): void {
    this.#arena.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Initial values: a function of the seed and the parameter's path alone. */
function initialize(state: ParameterState, path: string, { source, shape }: Tensor, seed: number): void {
  if (source?.kind !== "parameter") throw new Error(`internal: ${path} is no parameter`);
  source.initializer.fill(state.value, fold(fold(key(seed), "parameters"), path), shape);
  if (state.ema.length > 0) state.ema.set(state.value);
}

/** Floats up to a multiple of 16: every array starts on a cache line. */
function alignedSize({ shape }: Tensor): number {
  return Math.ceil(sizeOf(shape) / 16) * 16;
}
