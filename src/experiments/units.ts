import { UsageError } from "../errors.ts";
import type { TrainingMethod, Unit } from "../train/index.ts";
import type { RunConfig } from "./runConfig.ts";

/** The unit of this name or number, such as block-1 or 1. @throws {UsageError} if there is none. */
export function unitNamed(method: TrainingMethod, name: string): Unit {
  const unit = method.units.find((one) => one.name === name || one.name.replace(/^\w+-/, "") === name);
  if (unit !== undefined) return unit;
  const names = method.units.map((one) => one.name);
  throw new UsageError("unknownUnit", { name, names }, `There is no unit "${name}" in ${method.name}; there are ${names.join(", ")}.`);
}

/**
 * The units that a process trains: one, or all.
 *
 * @throws {UsageError} if one is asked for by itself whose parameters others train too, or that builds on others.
 */
export function chosenUnits(method: TrainingMethod, { blocks: { shared } }: RunConfig, name: string | undefined): readonly Unit[] {
  if (name === undefined) return method.units;
  const unit = unitNamed(method, name);
  if (method.independentUnits) return [unit];
  if (method.inOrder) {
    const message = `--block ${name}: ${method.name} trains ${unit.name} on what the units before it have learned, so none is trained alone. Leave --block out.`;
    throw new UsageError("unitsInOrder", { unit: unit.name, method: method.name }, message);
  }
  const policy = typeof shared === "string" ? shared : `average:${shared.averageEvery}`;
  const common =
    method.name === "diffusion-blocks"
      ? `with --shared ${policy} the blocks train parameters in common, so none can be trained alone. Use --shared owned or frozen, or leave --block out.`
      : `the units of ${method.name} train parameters in common, so none can be trained alone. Leave --block out.`;
  throw new UsageError("sharedParameters", { shared, unit: unit.name }, `--block ${name}: ${common}`);
}
