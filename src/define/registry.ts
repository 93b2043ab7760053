import { UsageError } from "../errors.ts";
import type { AnyMethodEntry, MethodDefinition } from "./method.ts";
import type { AnyModel } from "./model.ts";
import { nearest } from "./nearest.ts";
import type { OptionsSchema } from "./option.ts";

/** The models and methods that there are. Commands, help, reports and comparisons go over it and know no name. */
export class Registry {
  readonly #models = new Map<string, AnyModel>();
  readonly #methods = new Map<string, MethodDefinition>();

  constructor({ models, methods }: { readonly models: readonly AnyModel[]; readonly methods: readonly MethodDefinition[] }) {
    for (const model of models) this.addModel(model);
    for (const method of methods) this.addMethod(method);
  }

  get models(): readonly AnyModel[] {
    return [...this.#models.values()];
  }

  get methods(): readonly MethodDefinition[] {
    return [...this.#methods.values()];
  }

  /** @throws {UsageError} if there is a model of this name. */
  addModel(model: AnyModel): void {
    if (this.#models.has(model.name)) throw new UsageError("nameTaken", { name: model.name }, `There is a model "${model.name}" already.`);
    this.#models.set(model.name, model);
  }

  /** @throws {UsageError} if there is a method of this name. */
  addMethod(method: MethodDefinition): void {
    if (this.#methods.has(method.name))
      throw new UsageError("nameTaken", { name: method.name }, `There is a method "${method.name}" already.`);
    this.#methods.set(method.name, method);
  }

  /** @throws {UsageError} for an unknown name, with the nearest one. */
  model(name: string): AnyModel {
    const found = this.#models.get(name);
    if (found !== undefined) return found;
    const known = [...this.#models.keys()];
    throw new UsageError(
      "unknownModel",
      { name, known },
      `There is no model "${name}".${nearest(name, known)} Models: ${known.join(", ")}.`,
    );
  }

  /** @throws {UsageError} for an unknown name, with the nearest one. */
  method(name: string): MethodDefinition {
    const found = this.#methods.get(name);
    if (found !== undefined) return found;
    const known = [...this.#methods.keys()];
    const message = `There is no method "${name}".${nearest(name, known)} Methods: ${known.join(", ")}.`;
    throw new UsageError("unknownMethod", { name, known }, message);
  }

  /** The methods that can train a model. */
  methodsFor(model: AnyModel): readonly MethodDefinition[] {
    return this.methods.filter(({ fits }) => fits.some(({ kind }) => kind === model.kind));
  }

  /** A method on the kind of a model's network. @throws {UsageError} if it cannot train it, naming those that can. */
  entry(model: AnyModel, methodName: string): AnyMethodEntry {
    const method = this.method(methodName);
    const entry = method.fits.find(({ kind }) => kind === model.kind);
    if (entry !== undefined) return entry;
    const choices = this.methodsFor(model).map(({ name }) => name);
    const kinds = method.fits.map(({ kind }) => kind.name);
    const message = `--method ${methodName} cannot train ${model.name}: it is for ${a(kinds)}, and ${model.name} is ${a([model.kind.name])}. Choose --method ${choices.join(", ")}.`;
    throw new UsageError("unfitMethod", { model: model.name, method: methodName, choices }, message);
  }

  /** Who has an option of this name: "vit", "blocks (of a language model)". */
  ownersOf(key: string): readonly string[] {
    const has = (schema: OptionsSchema): boolean => Object.hasOwn(schema.shape, key);
    const models = this.models.filter(({ schema }) => has(schema)).map(({ name }) => name);
    const methods = this.methods.flatMap(({ name, fits }) =>
      fits.filter(({ schema }) => has(schema)).map(({ kind }) => `--method ${name} of ${a([kind.name])}`),
    );
    const tasks = [...new Set(this.models.map(({ task }) => task))]
      .filter(({ schema }) => has(schema as unknown as OptionsSchema))
      .map(({ name }) => `data of ${name}`);
    return [...models, ...methods, ...tasks];
  }
}

/** "an image classifier or a language model" */
function a(names: readonly string[]): string {
  return names.map((name) => `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`).join(" or ");
}
