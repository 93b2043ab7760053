import { basename, join, resolve } from "node:path";
import { configJsonSchema, identityOf, partitionFile, type Registry, type RunConfig } from "../define/index.ts";
import { DataError, UsageError } from "../errors.ts";
import { type ImportedNetwork, importedState, importNetwork, type NetworkFiles } from "../exchange/index.ts";
import { configHash, folderStore, openRun, readWhole } from "../run/index.ts";

export interface ImportRunOptions {
  readonly registry: Registry;
  /** Folder with the files of a network. */
  readonly from: string;
  /** Folder of the new run. */
  readonly out: string;
  /** Tokens of a sequence, of a language model of others: as many as it was trained with, at most 1,024, by default. */
  readonly length?: number | undefined;
}

/** What was read. */
export interface ImportedRun {
  readonly config: RunConfig;
  readonly parameters: number;
  readonly tensors: number;
}

/**
 * Makes a run of the files of a network: see {@link importNetwork}.
 *
 * @throws what {@link importNetwork} throws. {UsageError} for a folder that holds a run.
 */
export async function importRun({ registry, from, out, length }: ImportRunOptions): Promise<ImportedRun> {
  const imported = await importNetwork({ registry, files: folderFiles(from), length });
  await write(registry, out, imported);
  const { config, values, tensors } = imported;
  return { config, parameters: [...values.values()].reduce((sum, { length: numbers }) => sum + numbers, 0), tensors };
}

function folderFiles(from: string): NetworkFiles {
  return {
    name: basename(resolve(from)),
    path: resolve(from),
    read: (name) =>
      readWhole(join(from, name)).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT") return undefined;
        throw new DataError("noFile", { path: from, name }, `${join(from, name)} cannot be read (${cause.code}).`, { cause });
      }),
  };
}

async function write(registry: Registry, out: string, { config, info, method, values }: ImportedNetwork): Promise<void> {
  const folder = await openRun(out, { create: true });
  if (await folder.hasConfig()) throw new UsageError("otherConfig", { path: out }, `${out} holds a run already. Choose another --out.`);
  await folder.writeFile("config.schema.json", `${JSON.stringify(configJsonSchema(registry, config.model.name, config.method.name))}\n`);
  await folder.writeDataInfo(info);
  await folder.writeConfig(config);
  const partition = partitionFile(method);
  if (partition !== undefined) await folder.writePartition(partition);
  const hash = configHash(identityOf(registry, config, config.data.name ?? info.name));
  const store = folderStore(folder, { configHash: hash, keepLast: config.execution.keepLast });
  for (const unit of method.units) await (await store.openUnit(unit.name)).save(importedState({ values }, unit));
}
