import type { Tensor } from "../tensor/index.ts";
import type { Kernels } from "./kernels/index.ts";

/** The numbers of one update: fed to a graph by name, handed to a kernel as they are. */
export type Settings = Readonly<Record<string, number>>;

/**
 * An optimiser twice over: in place on host memory, and as a part of a graph for devices that keep the state.
 * Both compute the same update; a test holds them together.
 */
export interface Optimizer {
  readonly name: string;
  /** State arrays of each parameter, of its shape and zero at first. */
  readonly slots: readonly string[];
  /** The settings of a parameter's update number `update`, counted from 1. `gradScale` multiplies every gradient first. */
  settings(update: number, learningRate: number, gradScale: number): Settings;
  updateHost(kernels: Kernels, value: Float32Array, gradient: Float32Array, slots: readonly Float32Array[], settings: Settings): void;
  updateTraced(
    value: Tensor,
    gradient: Tensor,
    slots: readonly Tensor[],
    settings: Readonly<Record<string, Tensor>>,
  ): { readonly value: Tensor; readonly slots: readonly Tensor[] };
}
