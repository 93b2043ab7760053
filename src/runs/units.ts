import type { RunConfig } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { TrainingMethod, Unit } from "../train/index.ts";

/** The unit of this name or number, such as block-1 or 1. @throws {UsageError} if there is none. */
export function unitNamed(method: TrainingMethod, name: string): Unit {
  const unit = method.units.find((one) => one.name === name || one.name.replace(/^\w+-/, "") === name);
  if (unit !== undefined) return unit;
  const names = method.units.map((one) => one.name);
  throw new UsageError("unknownUnit", { name, names }, `There is no unit "${name}" in ${method.name}; there are ${names.join(", ")}.`);
}

/**
 * The units that a process trains, in the method's order: some by name or number, or all.
 *
 * @throws {UsageError} if some are asked for whose parameters others train too, or that build on others.
 */
export function chosenUnits(method: TrainingMethod, config: RunConfig, names: readonly string[] | undefined): readonly Unit[] {
  if (names === undefined) return learningUnits(method, config);
  const chosen = names.map((name) => unitNamed(method, name));
  if (method.order.kind === "independent") return method.units.filter((unit) => chosen.includes(unit));
  const [units, asked] = [chosen.map(({ name }) => name), `--block ${names.join(",")}`];
  if (method.order.kind === "sequential") {
    const message = `${asked}: ${method.name} trains ${units.join(", ")} on finished units before it, so none is trained alone. Leave --block out.`;
    throw new UsageError("unitsInOrder", { units, method: method.name }, message);
  }
  const message = `${asked}: ${sharedParameters(method, config)}, so none can be trained alone. Leave --block out, or let units own their parameters.`;
  throw new UsageError("sharedParameters", { units, method: method.name }, message);
}

/** The units that learn in a run, in the method's order: all, but where the others stay as they were. */
function learningUnits(method: TrainingMethod, { training: { units } }: RunConfig): readonly Unit[] {
  if (units === undefined) return method.units;
  const learning = units.map((name) => unitNamed(method, name));
  return method.units.filter((unit) => learning.includes(unit));
}

/** Why units cannot be trained apart. */
export function sharedParameters(method: TrainingMethod, { method: { shared } }: RunConfig): string {
  const policy = typeof shared === "string" ? ` with --shared ${shared}` : "";
  return `the units of ${method.name}${policy} train parameters in common`;
}
