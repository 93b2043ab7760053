import { namedParameters, type Part } from "../nn/index.ts";
import { sizeOf, type Tensor } from "../tensor/index.ts";
import type { Unit } from "./method.ts";

/** The parameters of a part by their paths in a run: below the name of the unit that owns them. */
export function ownedParameters(owner: string, part: Part): Map<string, Tensor> {
  return new Map([...namedParameters(part)].map(([path, tensor]) => [`${owner}/${path}`, tensor]));
}

/** A unit that trains all parameters of a part and reads no others. */
export function standaloneUnit(name: string, part: Part, layerEvaluations: number): Unit {
  return { name, trainable: ownedParameters(name, part), frozen: new Map(), constants: new Map(), layerEvaluations };
}

/** How many numbers tensors hold. */
export function parameterCount(parameters: ReadonlyMap<string, Tensor>): number {
  return [...parameters.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
