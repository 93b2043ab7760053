import { namedParameters, type Part, standsStill } from "../nn/index.ts";
import { sizeOf, type Tensor } from "../tensor/index.ts";
import type { Unit } from "./method.ts";

/** The parameters of a part by their paths in a run: below the name of the unit that owns them. */
export function ownedParameters(owner: string, part: Part): Map<string, Tensor> {
  return new Map([...namedParameters(part)].map(([path, tensor]) => [`${owner}/${path}`, tensor]));
}

/** A unit that trains all parameters of a part and reads no others. */
export function standaloneUnit(name: string, part: Part, layerEvaluations: number): Unit {
  return { name, ...divided(ownedParameters(name, part)), constants: new Map(), layerEvaluations };
}

/** Parameters of a unit, divided into those that it trains and those that stand still. */
export function divided(parameters: Iterable<readonly [path: string, tensor: Tensor]>): Pick<Unit, "trainable" | "frozen"> {
  const all = [...parameters];
  return {
    trainable: new Map(all.filter(([, tensor]) => !standsStill(tensor))),
    frozen: new Map(all.filter(([, tensor]) => standsStill(tensor))),
  };
}

/** How many numbers tensors hold. */
export function parameterCount(parameters: ReadonlyMap<string, Tensor>): number {
  return [...parameters.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
