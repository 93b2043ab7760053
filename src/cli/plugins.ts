import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type AnyModel, type MethodDefinition, type Registry, UsageError } from "../index.ts";
import type { ImageFormat } from "../node.ts";

/**
 * Loads the modules named by --plugin and adds the models, methods and image formats that they export.
 *
 * @returns the arguments with which another process loads them too.
 * @throws {UsageError} if a module cannot be loaded, or exports neither.
 */
export async function loadPlugins(registry: Registry, words: readonly string[]): Promise<readonly string[]> {
  const files = words.flatMap((word, i) => {
    if (word.startsWith("--plugin=")) return [word.slice("--plugin=".length)];
    return word === "--plugin" && words[i + 1] !== undefined ? [words[i + 1]!] : [];
  });
  for (const file of files) await loadPlugin(registry, file);
  return files.flatMap((file) => ["--plugin", resolve(file)]);
}

async function loadPlugin(registry: Registry, file: string): Promise<void> {
  const exported = Object.values((await importFile(file)) as object) as unknown[];
  const models = exported.filter(isModel);
  const methods = exported.filter(isMethod);
  const formats = exported.filter(isImageFormat);
  if (models.length + methods.length + formats.length === 0) {
    const message = `--plugin ${file}: it exports no model, no method and no image format. Export what defineModel or defineMethod returns.`;
    throw new UsageError("emptyPlugin", { file }, message);
  }
  for (const model of models) registry.addModel(model);
  for (const method of methods) registry.addMethod(method);
  if (formats.length === 0) return;
  const { addImageFormat } = await import("../node.ts");
  for (const format of formats) addImageFormat(format);
}

async function importFile(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(resolve(file)).href);
  } catch (cause) {
    const message = `--plugin ${file}: the module cannot be loaded: ${(cause as Error).message}`;
    throw new UsageError("badPlugin", { file }, message, { cause });
  }
}

function isModel(value: unknown): value is AnyModel {
  return typeof value === "object" && value !== null && "kind" in value && "task" in value && "build" in value;
}

function isMethod(value: unknown): value is MethodDefinition {
  return typeof value === "object" && value !== null && "fits" in value && "name" in value;
}

function isImageFormat(value: unknown): value is ImageFormat {
  return typeof value === "object" && value !== null && "recognises" in value && "load" in value;
}
