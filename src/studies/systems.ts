import { type AnyModel, nearest, type Registry } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { ComparedSystem } from "./comparedRun.ts";

type Variant = Omit<ComparedSystem, "name">;

/** Rows that are a method with something else set. */
const variants: Readonly<Record<string, Variant>> = {
  checkpointing: { method: "end-to-end", overrides: { training: { checkpointing: true } }, tunedAs: "end-to-end" },
  "blocks-checkpointing": { method: "blocks", overrides: { training: { checkpointing: true } }, tunedAs: "blocks" },
  "shallow-twin": { method: "shallow-twin", overrides: {}, budget: "updates" },
  "shallow-twin-equal-evaluations": { method: "shallow-twin", overrides: {}, budget: "evaluations" },
};

/**
 * The rows by which a result is judged: the whole network end to end, with and without checkpointing; the network that the memory of a
 * block buys, in as many updates and in as many layer evaluations; as many of these as blocks, answering together.
 */
const controls: readonly string[] = ["end-to-end", "checkpointing", "shallow-twin", "shallow-twin-equal-evaluations", "twin-ensemble"];

/** The systems that can train a model, by name. */
function systemsOf(registry: Registry, model: AnyModel): ReadonlyMap<string, Variant> {
  const methods = registry.methodsFor(model).map(({ name }) => name);
  const made = Object.entries(variants).filter(([, { method }]) => methods.includes(method));
  return new Map([...methods.map((method): [string, Variant] => [method, { method, overrides: {} }]), ...made]);
}

/**
 * The systems of these names: methods that can train the model, and variants of them.
 *
 * @throws {UsageError} for an unknown one.
 */
export function systemsNamed(registry: Registry, model: AnyModel, names: readonly string[]): readonly ComparedSystem[] {
  const systems = systemsOf(registry, model);
  return names.map((name) => {
    const system = systems.get(name);
    if (system !== undefined) return { name, ...system };
    const known = [...systems.keys()];
    const message = `compare: ${model.name} has no system "${name}".${nearest(name, known)} Systems: ${known.join(", ")}.`;
    throw new UsageError("unknownMethod", { name, known }, message);
  });
}

/**
 * Each system at each budget: a row that trains so many times as long, with options tuned for that length.
 *
 * @param budgets multiples of the epochs; with none, or 1 alone, the systems are as they are.
 */
export function atBudgets(systems: readonly ComparedSystem[], budgets: readonly number[]): readonly ComparedSystem[] {
  if (budgets.every((times) => times === 1)) return systems;
  const named = (name: string, times: number): string => `${name} × ${times}`;
  return budgets.flatMap((times) =>
    systems.map(({ tunedAs, cutByLossOf, ...system }) => ({
      ...system,
      name: named(system.name, times),
      curve: system.name,
      times,
      ...(tunedAs !== undefined && { tunedAs: named(tunedAs, times) }),
      ...(cutByLossOf !== undefined && { cutByLossOf: named(cutByLossOf, times) }),
    })),
  );
}

/** A control that has no row, and why. */
export interface AbsentRow {
  readonly name: string;
  readonly why: string;
}

/** The names of the controls that a model can have. */
export function controlsOf(registry: Registry, model: AnyModel): readonly string[] {
  const systems = systemsOf(registry, model);
  return controls.filter((name) => systems.has(name));
}

/**
 * The controls that are not among these rows, and why.
 *
 * @param left why those are not there that the model can have.
 */
export function absentControls(registry: Registry, model: AnyModel, rows: readonly ComparedSystem[], left: string): readonly AbsentRow[] {
  const systems = systemsOf(registry, model);
  return controls
    .filter((name) => !rows.some((row) => (row.curve ?? row.name) === name))
    .map((name) => ({ name, why: systems.has(name) ? left : `no method makes it of ${model.name}` }));
}
