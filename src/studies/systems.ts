import { type AnyModel, nearest, type Registry } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { ComparedSystem } from "./comparedRun.ts";

/** Rows that are a method with something else set. */
const variants: Readonly<Record<string, Pick<ComparedSystem, "method" | "overrides">>> = {
  checkpointing: { method: "end-to-end", overrides: { training: { checkpointing: true } } },
  "blocks-checkpointing": { method: "blocks", overrides: { training: { checkpointing: true } } },
};

/**
 * The systems of these names: methods that can train the model, and those with activation checkpointing.
 *
 * @throws {UsageError} for an unknown one.
 */
export function systemsNamed(registry: Registry, model: AnyModel, names: readonly string[]): readonly ComparedSystem[] {
  const methods = registry.methodsFor(model).map(({ name }) => name);
  const known = [...methods, ...Object.keys(variants).filter((name) => methods.includes(variants[name]!.method))];
  return names.map((name) => {
    if (!known.includes(name)) {
      const message = `compare: ${model.name} has no system "${name}".${nearest(name, known)} Systems: ${known.join(", ")}.`;
      throw new UsageError("unknownMethod", { name, known }, message);
    }
    return { name, ...(variants[name] ?? { method: name, overrides: {} }) };
  });
}
