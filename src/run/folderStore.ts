import { asFloat32 } from "../formats/index.ts";
import type { RunLog, RunStore, SavedState, UnitStore } from "../train/index.ts";
import { bestKey, type Checkpoint, type CheckpointOptions, CheckpointStore, keepMarked } from "./checkpoint.ts";
import { claimOwnership } from "./owner.ts";
import type { RunFolder } from "./runFolder.ts";

export interface FolderStoreOptions extends Pick<CheckpointOptions, "configHash" | "keepLast" | "keep" | "onSkip"> {
  /** Whether other processes train other units of the run: each unit's log then lies in its own folder. False by default. */
  readonly ownLogs?: boolean;
}

/**
 * Keeps a run in its folder: a unit is claimed when it is opened, its states are its checkpoints, and the log is metrics.jsonl.
 *
 * @throws {RunError} when a unit or the log is opened: `fenced` if a later restart of the same task owns the unit, `noPermission`,
 *   `diskFull`, … if the folder cannot be written.
 */
export function folderStore(folder: RunFolder, { ownLogs = false, ...checkpoints }: FolderStoreOptions): RunStore {
  const { fs } = folder;
  return {
    openUnit: async (name) => {
      const path = folder.unitFolder(name);
      const owner = await claimOwnership(path, { fs });
      return unitStore(await CheckpointStore.open({ keep: keepMarked, ...checkpoints, folder: path, unit: name, owner, fs }));
    },
    openLog: (resumeFrom) => (ownLogs ? openUnitLogs(folder, resumeFrom) : folder.openMetrics({ resumeFrom })),
  };
}

/** One log for each unit, as one. */
async function openUnitLogs(folder: RunFolder, resumeFrom: Readonly<Record<string, number>>): Promise<RunLog> {
  const logs = new Map<string, RunLog>();
  for (const [unit, step] of Object.entries(resumeFrom)) logs.set(unit, await folder.openMetrics({ resumeFrom: { [unit]: step }, unit }));
  const every = (act: (log: RunLog) => void): void => logs.forEach(act);
  return {
    write: (unit, step, values) => logs.get(unit)!.write(unit, step, values),
    sync: () => every((log) => log.sync()),
    close: () => every((log) => log.close()),
  };
}

function unitStore(checkpoints: CheckpointStore): UnitStore {
  return {
    load: async (which) => {
      const checkpoint = await (which === "best"
        ? checkpoints.loadBest()
        : which === undefined
          ? checkpoints.load()
          : checkpoints.load(which));
      if (checkpoint !== undefined && which === undefined) await checkpoints.clear(checkpoint);
      return checkpoint && savedState(checkpoint);
    },
    save: ({ step, arrays, metadata, isBest }) => {
      const tensors = [...arrays].map(([name, { shape, data }]) => ({ name, dtype: "F32", shape, data }) as const);
      return checkpoints.save({ step, tensors, metadata: { ...metadata, ...(isBest && { [bestKey]: "true" }) } });
    },
  };
}

/** A checkpoint of a unit as the state that training and prediction take up. Its arrays are views of the file's bytes. */
export function savedState({ step, path, metadata, tensors }: Checkpoint): SavedState {
  const arrays = new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: asFloat32(tensor) }]));
  return { step, source: path, arrays, metadata };
}
