/** A run on disk: its folder, configuration, checkpoints, owner, metrics, and the exit codes of its processes. */
export {
  bestCheckpoint,
  type Checkpoint,
  type CheckpointEntry,
  type CheckpointOptions,
  CheckpointStore,
  type KeepRule,
  keepBest,
  keepEvery,
} from "./checkpoint.ts";
export { configHash, type Difference, differences, differingKeys } from "./config.ts";
export { type ExitCodes, exitCodeOf, exitCodes } from "./exitCodes.ts";
export { type FileSystem, type OpenFile, readWhole } from "./fileSystem.ts";
export { type FolderStoreOptions, folderStore, savedState } from "./folderStore.ts";
export type { MetricsOptions } from "./metrics.ts";
export { type Owner, type OwnerRecord, ownerOf } from "./owner.ts";
export { openRun, RunFolder } from "./runFolder.ts";
export type { SavedTensor } from "./safetensorsFile.ts";
