import {
  buildMethod,
  exportOnnx,
  type ImportedNetwork,
  identityOf,
  importedState,
  importNetwork,
  onnxMetadata,
  openDevice,
  type ParameterValues,
  parseRunConfig,
  partitionFile,
  predictionValues,
  type RunConfig,
  type RunContent,
  registry,
  resolveConfig,
  safetensorsFiles,
  type TrainingMethod,
  UsageError,
} from "diffusion-blocks";
import { browserStore, hashOf, newestState, readText, runFolder, writeFile } from "./browserRun.ts";
import type { FileBytes, Requests } from "./protocol.ts";

/** Runs that go out of the page, and networks that come in. */

declare const __VERSION__: string;

/** The configuration of a kept run; undefined if there is none. */
export async function keptConfig(folder: FileSystemDirectoryHandle, run: string): Promise<RunConfig | undefined> {
  const text = await readText(folder, "config.json");
  return text === undefined ? undefined : parseRunConfig(registry, [JSON.parse(text)], `${run}/config.json`);
}

/** The parameters of all units as they were saved last. @throws {UsageError} if a unit was never saved. */
export async function savedValues(folder: FileSystemDirectoryHandle, method: TrainingMethod): Promise<ParameterValues> {
  const values = new Map<string, Float32Array>();
  for (const unit of method.units) {
    const state = await newestState(folder, unit.name);
    if (state === undefined)
      throw new UsageError("untrained", { unit: unit.name }, `${unit.name} has made no step yet. Train all blocks for a while first.`);
    for (const [path, value] of predictionValues(unit, state)) values.set(path, value);
  }
  return (path) => values.get(path)!;
}

/** Writes the files that describe a run, which stand before its states. */
export async function writeRunFiles(folder: FileSystemDirectoryHandle, { config, info, method }: RunContent): Promise<void> {
  await writeFile(folder, "config.json", `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(folder, "data.json", `${JSON.stringify(info)}\n`);
  const partition = partitionFile(method);
  if (partition !== undefined) await writeFile(folder, "partition.json", `${JSON.stringify(partition, null, 2)}\n`);
}

/** A kept run as `dblocks export` writes it. It needs no data. */
export async function exportRun({ run, format }: Requests["export"]["ask"]): Promise<readonly FileBytes[]> {
  const folder = await runFolder(run);
  const [config, data] = [await keptConfig(folder, run), await readText(folder, "data.json")];
  if (config === undefined || data === undefined) throw new UsageError("noRun", { run }, `This browser keeps no run "${run}".`);
  const info = JSON.parse(data) as { readonly name: string };
  const { task } = resolveConfig(registry, config);
  const method = buildMethod(registry, config, task.shapeOf(info, config.data));
  const content = { config, method, info };
  const values = await savedValues(folder, method);
  const version = `diffusion-blocks ${__VERSION__}, in a browser`;
  if (format === "safetensors") return safetensorsFiles(content, { version, values });
  await using device = await openDevice("wasm", { threads: 1 });
  return await exportOnnx(method, { device, values, metadata: onnxMetadata(content, { version }) });
}

/** Makes a run of the files of a network: of an exported run, or of others. */
export async function importFiles({ run, files }: Requests["import"]["ask"]): Promise<Requests["import"]["answer"]> {
  const named = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const imported = await importNetwork({ registry, files: { name: run, path: run, read: async (name) => named.get(name) } });
  await keep(run, imported);
  const { config, values } = imported;
  const parameters = [...values.values()].reduce((sum, { length }) => sum + length, 0);
  return { model: config.model.name, method: config.method.name, parameters };
}

async function keep(run: string, imported: ImportedNetwork): Promise<void> {
  const { config, info, method } = imported;
  const folder = await runFolder(run, { create: true });
  await writeRunFiles(folder, imported);
  const hash = await hashOf(identityOf(registry, config, config.data.name ?? info.name));
  const store = browserStore(folder, hash);
  for (const unit of method.units) await (await store.openUnit(unit.name)).save(importedState(imported, unit));
}
