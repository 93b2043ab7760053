import { DiffusionBlocksError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import { type TrainingMethod, traceStep, type Unit } from "../train/index.ts";
import { type Check, checkOf } from "./check.ts";
import { parametersIn } from "./graph.ts";

/**
 * A unit's step reads its own parameters and no other; each that it trains gets a gradient; and no two units train
 * the same one, unless the method says that they depend on each other.
 */
export function checkIsolation(method: TrainingMethod): Check {
  const names = namesOf(method);
  const faults = method.units.flatMap((unit) => faultsOfStep(method, unit, names));
  for (const paths of names.values()) if (paths.size > 1) faults.push(`one parameter goes by the names ${[...paths].join(", ")}`);
  const trainedTwice = twice(method.units.flatMap(({ trainable }) => [...trainable.keys()]));
  if (method.order.kind === "independent") faults.push(...trainedTwice.map((path) => `more than one unit trains ${path}`));
  const common =
    trainedTwice.length === 0 ? "none is trained by two" : `${trainedTwice.length} are trained together, as this run's policy says`;
  return checkOf(
    "no gradient crosses a block",
    faults,
    `${method.units.length} steps traced; each reads and changes its own parameters only, ${common}`,
  );
}

function faultsOfStep(method: TrainingMethod, unit: Unit, names: ReadonlyMap<Tensor, ReadonlySet<string>>): string[] {
  try {
    const { objective } = traceStep(method, unit, 1);
    const own = new Set([...unit.trainable.values(), ...unit.frozen.values()]);
    const foreign = [...parametersIn([objective.loss, ...Object.values(objective.metrics)])].filter((tensor) => !own.has(tensor));
    return foreign.map((tensor) => `the step of ${unit.name} reads ${[...(names.get(tensor) ?? ["a parameter of no unit"])].join(", ")}`);
  } catch (error) {
    if (!(error instanceof DiffusionBlocksError)) throw error;
    return [`the step of ${unit.name} cannot be traced: ${error.message}`];
  }
}

/** The paths of each parameter of a method: one, if all is well. */
function namesOf(method: TrainingMethod): Map<Tensor, Set<string>> {
  const names = new Map<Tensor, Set<string>>();
  for (const { trainable, frozen } of method.units) {
    for (const [path, tensor] of [...trainable, ...frozen]) names.set(tensor, (names.get(tensor) ?? new Set()).add(path));
  }
  return names;
}

function twice(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  return [...new Set(paths.filter((path) => seen.size === seen.add(path).size))];
}
