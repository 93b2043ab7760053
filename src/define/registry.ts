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
    add(this.#models, "model", model);
  }

  /** @throws {UsageError} if there is a method of this name. */
  addMethod(method: MethodDefinition): void {
    add(this.#methods, "method", method);
  }

  /** @throws {UsageError} `unknownModel` for an unknown name, with the nearest one. */
  model(name: string): AnyModel {
    return find(this.#models, "model", name);
  }

  /** @throws {UsageError} `unknownMethod` for an unknown name, with the nearest one. */
  method(name: string): MethodDefinition {
    return find(this.#methods, "method", name);
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

function add<Entry extends { readonly name: string }>(entries: Map<string, Entry>, what: "model" | "method", entry: Entry): void {
  const { name } = entry;
  if (entries.has(name)) throw new UsageError("nameTaken", { name }, `There is a ${what} "${name}" already.`);
  entries.set(name, entry);
}

function find<Entry>(entries: ReadonlyMap<string, Entry>, what: "model" | "method", name: string): Entry {
  const found = entries.get(name);
  if (found !== undefined) return found;
  const [known, title] = [[...entries.keys()], what === "model" ? "Model" : "Method"];
  const message = `There is no ${what} "${name}".${nearest(name, known)} ${title}s: ${known.join(", ")}.`;
  throw new UsageError(`unknown${title}`, { name, known }, message);
}

/** "an image classifier or a language model" */
function a(names: readonly string[]): string {
  return names.map((name) => `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`).join(" or ");
}
